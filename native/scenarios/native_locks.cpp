// A lock of the program together with the GIL. The rule: never wait for a native lock while holding the GIL, because
// its owner may be waiting for the GIL. See https://pybind11.readthedocs.io/en/stable/advanced/deadlock.html

#include "harness/scenario.hpp"

#include <mutex>

namespace python_tsan {

long long g_under_mutex = 0;
long long g_made_once = 0;
static std::mutex g_native_mutex;
static std::once_flag g_native_once;
static std::mutex g_wrong_mutex;
static std::mutex g_stopping_mutex;
static std::once_flag g_wrong_once;

SCENARIO(mutex_right_order,
         "locks",
         "The GIL is released before the mutex is taken, and taken again inside it.",
         .clean().twin("mutex_wrong_order")) {
    const Interpreter python(context);
    race(context, [&](unsigned) {
        for (unsigned i = 0; i < context.iterations(); ++i) {
            const py::gil_scoped_acquire gil;
            const py::gil_scoped_release before_the_mutex;
            const std::lock_guard<std::mutex> lock(g_native_mutex);
            const py::gil_scoped_acquire inside_it;
            g_under_mutex += static_cast<long long>(py::len(py::str("1")));
        }
    });
    context.check("count", g_under_mutex, context.total());
}

SCENARIO(mutex_wrong_order,
         "locks",
         "T1 holds the GIL and waits for a mutex; T2 holds the mutex and waits for the GIL.",
         .hang(60)
             .waits({"T1 waits for the mutex, held by T2", "T2 waits for the GIL, held by T1"})
             .twin("mutex_right_order")
             .clean_without_gil()) {
    const Interpreter python(context);
    Waits waits(context.options());
    Barrier each_holds_one(2);
    const auto gil_then_mutex = [&] {
        const py::gil_scoped_acquire gil;
        call_from_python("take_mutex_with_gil_held", [&] {
            waits.own("T1", "the GIL");
            each_holds_one.wait();
            waits.want("T1", "the mutex");
            const std::lock_guard<std::mutex> never(g_wrong_mutex);
        });
    };
    const auto mutex_then_gil = [&] {
        const std::lock_guard<std::mutex> lock(g_wrong_mutex);
        waits.own("T2", "the mutex");
        each_holds_one.wait();
        waits.want("T2", "the GIL");
        const py::gil_scoped_acquire never;
    };
    race(context, {gil_then_mutex, mutex_then_gil});
}

SCENARIO(
    mutex_against_stopped_world,
    "locks",
    "T1 waits for a mutex while attached to Python; T2 holds it and collects garbage, for which all threads must stop.",
    .hang(60)
        .waits({"T1 waits for the mutex, held by T2", "T2 waits for the interpreter, held by T1"})
        .twin("mutex_right_order")) {
    const Interpreter python(context);
    Waits waits(context.options());
    Barrier each_holds_one(2);
    const auto python_then_mutex = [&] {
        const py::gil_scoped_acquire gil;
        call_from_python("take_mutex_while_attached", [&] {
            waits.own("T1", "the interpreter");
            each_holds_one.wait();
            waits.want("T1", "the mutex");
            const std::lock_guard<std::mutex> never(g_stopping_mutex);
        });
    };
    const auto mutex_then_collect = [&] {
        const std::lock_guard<std::mutex> lock(g_stopping_mutex);
        waits.own("T2", "the mutex");
        each_holds_one.wait();
        waits.want("T2", "the interpreter");
        const py::gil_scoped_acquire blocks_forever_with_a_gil;
        PyGC_Collect(); // blocks forever without a GIL
    };
    race(context, {python_then_mutex, mutex_then_collect});
}

SCENARIO(call_once_right_order,
         "locks",
         "The GIL is released before std::call_once, and taken again inside the function that it calls.",
         .clean().twin("call_once_wrong_order")) {
    const Interpreter python(context);
    race(context, [&](unsigned) {
        const py::gil_scoped_acquire gil;
        const py::gil_scoped_release before_the_flag;
        std::call_once(g_native_once, [] {
            const py::gil_scoped_acquire inside_it;
            g_made_once += py::cast<int>(py::eval("1", py::dict()));
        });
    });
    context.check("count", g_made_once, 1LL);
}

SCENARIO(call_once_wrong_order,
         "locks",
         "T1 holds the GIL and waits at std::call_once; T2 is inside it and waits for the GIL.",
         .hang(60)
             .waits({"T1 waits for the flag, held by T2", "T2 waits for the GIL, held by T1"})
             .twin("call_once_right_order")
             .clean_without_gil()) {
    const Interpreter python(context);
    Waits waits(context.options());
    Barrier each_holds_one(2);
    const auto gil_then_flag = [&] {
        const py::gil_scoped_acquire gil;
        call_from_python("call_once_with_gil_held", [&] {
            waits.own("T1", "the GIL");
            each_holds_one.wait();
            waits.want("T1", "the flag");
            std::call_once(g_wrong_once, [] {});
        });
    };
    const auto flag_then_gil = [&] {
        std::call_once(g_wrong_once, [&] {
            waits.own("T2", "the flag");
            each_holds_one.wait();
            waits.want("T2", "the GIL");
            const py::gil_scoped_acquire never;
        });
    };
    race(context, {gil_then_flag, flag_then_gil});
}

} // namespace python_tsan
