// nanobind's own locks. They exist only in free-threaded builds: elsewhere ft_mutex, ft_lock_guard and lock_self() are
// compiled to nothing. https://nanobind.readthedocs.io/en/latest/free_threaded.html

#include "harness/scenario.hpp"

#include <array>

namespace python_tsan {

long long g_ft_mutex_counter = 0;
long long g_ft_mutex_alone_counter = 0;
static py::ft_mutex g_ft_mutex;

static PYTHON_TSAN_NOINLINE void increment_under_ft_mutex() {
    const py::ft_lock_guard lock(g_ft_mutex);
    const long long seen = g_ft_mutex_counter;
    keep_apart();
    g_ft_mutex_counter = seen + 1;
}

static PYTHON_TSAN_NOINLINE void increment_under_ft_mutex_alone() {
    const py::ft_lock_guard lock(g_ft_mutex);
    const long long seen = g_ft_mutex_alone_counter;
    keep_apart();
    g_ft_mutex_alone_counter = seen + 1;
}

SCENARIO(nanobind_ft_mutex,
         "nanobind",
         "Every increment is under a GIL guard and an ft_mutex: one of the two locks, depending on the build.",
         .clean().twin("nanobind_ft_mutex_alone")) {
    const Interpreter python(context);
    race(context, [&](unsigned) {
        for (unsigned i = 0; i < context.iterations(); ++i) {
            const py::gil_scoped_acquire gil;
            increment_under_ft_mutex();
        }
    });
    context.check("count", g_ft_mutex_counter, context.total());
}

SCENARIO(
    nanobind_ft_mutex_alone,
    "nanobind",
    "The same increments under the ft_mutex only: in a build with a GIL, it does nothing.",
    .race("g_ft_mutex_alone_counter", "increment_under_ft_mutex_alone").clean_without_gil().twin("nanobind_ft_mutex")) {
    const Interpreter python(context);
    take_turns(context, {increment_under_ft_mutex_alone, increment_under_ft_mutex_alone});
    context.check("count", g_ft_mutex_alone_counter, 2LL);
}

/// A class with a method that changes it, bound as users do.
class Tally {
public:
    PYTHON_TSAN_NOINLINE void add() {
        const long long seen = count_;
        keep_apart();
        count_ = seen + 1;
    }
    long long count() const { return count_; }

private:
    long long count_ = 0;
};

/// One tally, whose class binds its method with `extra`.
template <typename... Extra>
static py::object bound_tally(const Extra&... extra) {
    const py::object type = py::class_<Tally>(py::import_module("__main__"), "Tally")
                                .def(py::init<>())
                                .def("add", &Tally::add, extra...)
                                .def("count", &Tally::count);
    return type();
}

SCENARIO(nanobind_method,
         "nanobind",
         "Two threads call a method of one object: with a GIL the calls exclude each other, without it they do not.",
         .clean().race_without_gil("", "Tally::add").twin("nanobind_lock_self")) {
    const Interpreter python(context);
    const py::object tally = bound_tally();
    // A bound method for each thread: getting it changes the object's reference count, which orders the turns.
    const std::array<py::object, 2> methods{tally.attr("add"), tally.attr("add")};
    std::vector<std::function<void()>> turns;
    for (const auto& add : methods) {
        turns.emplace_back([&add] {
            const py::gil_scoped_acquire attached;
            add();
        });
    }
    take_turns_known(context, turns);
    context.check("count", py::cast<long long>(tally.attr("count")()), 2LL);
}

SCENARIO(nanobind_lock_self,
         "nanobind",
         "All threads call a method that is bound with lock_self(): nanobind locks the object for the call.",
         .clean().twin("nanobind_method")) {
    const Interpreter python(context);
    const py::object tally = bound_tally(py::lock_self());
    race(context, [&](unsigned) {
        for (unsigned i = 0; i < context.iterations(); ++i) {
            const py::gil_scoped_acquire attached;
            tally.attr("add")();
        }
    });
    context.check("count", py::cast<long long>(tally.attr("count")()), context.total());
}

} // namespace python_tsan
