// What replaces the GIL in a free-threaded build (a mutex, a critical section), and what enables the GIL again there:
// https://docs.python.org/3.13/howto/free-threading-extensions.html

#include "harness/scenario.hpp"

#include <mutex>
#include <stdexcept>

// Before 3.13 there is always a GIL, and the two macros are an ordinary block.
#ifndef Py_BEGIN_CRITICAL_SECTION
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#endif

namespace python_tsan {

long long g_mutex_counter = 0;
long long g_critical_counter = 0;
long long g_two_sections_counter = 0;
long long g_beside_marked_counter = 0;
long long g_beside_unmarked_counter = 0;
static std::mutex g_counter_mutex;

static PYTHON_TSAN_NOINLINE void increment_under_mutex() {
    const py::gil_scoped_acquire gil;
    const py::gil_scoped_release before_the_mutex;
    const std::lock_guard<std::mutex> lock(g_counter_mutex);
    const long long seen = g_mutex_counter;
    keep_apart();
    g_mutex_counter = seen + 1;
}

static PYTHON_TSAN_NOINLINE void increment_in_critical_section([[maybe_unused]] const py::object& guard) {
    const py::gil_scoped_acquire gil;
    Py_BEGIN_CRITICAL_SECTION(guard.ptr());
    const long long seen = g_critical_counter;
    keep_apart();
    g_critical_counter = seen + 1;
    Py_END_CRITICAL_SECTION();
}

SCENARIO(counter_mutex,
         "free_threading",
         "Threads attached to Python increment under a std::mutex, which they lock with the GIL released.",
         .clean().twin("counter_guarded")) {
    const Interpreter python(context);
    race(context, [&](unsigned) {
        for (unsigned i = 0; i < context.iterations(); ++i) {
            increment_under_mutex();
        }
    });
    context.check("count", g_mutex_counter, context.total());
}

SCENARIO(counter_critical_section,
         "free_threading",
         "Every increment is in a critical section of one Python object, or under the GIL if there is one.",
         .clean().twin("counter_two_critical_sections")) {
    const Interpreter python(context);
    const py::object guard = py::list();
    race(context, [&](unsigned) {
        for (unsigned i = 0; i < context.iterations(); ++i) {
            increment_in_critical_section(guard);
        }
    });
    context.check("count", g_critical_counter, context.total());
}

static PYTHON_TSAN_NOINLINE void increment_in_another_section([[maybe_unused]] PyObject* guard) {
    const py::gil_scoped_acquire gil;
    Py_BEGIN_CRITICAL_SECTION(guard);
    const long long seen = g_two_sections_counter;
    keep_apart();
    g_two_sections_counter = seen + 1;
    Py_END_CRITICAL_SECTION();
}

SCENARIO(counter_two_critical_sections,
         "free_threading",
         "The same increments, each thread in a critical section of a different object: without a GIL, no common lock.",
         .clean()
             .race_without_gil("g_two_sections_counter", "increment_in_another_section")
             .twin("counter_critical_section")) {
    const Interpreter python(context);
    const py::object one = py::list(), other = py::list();
    take_turns_known(context, {[&] { increment_in_another_section(one.ptr()); },
                               [&] { increment_in_another_section(other.ptr()); }});
    context.check("count", g_two_sections_counter, 2LL);
}

static PyModuleDef g_unmarked{
    PyModuleDef_HEAD_INIT, "python_tsan_unmarked", nullptr, 0, nullptr, nullptr, nullptr, nullptr, nullptr};

static PyModuleDef_Slot g_marked_slots[] = {
#ifdef Py_MOD_GIL_NOT_USED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr}};
static PyModuleDef g_marked{
    PyModuleDef_HEAD_INIT, "python_tsan_marked", nullptr, 0, nullptr, g_marked_slots, nullptr, nullptr, nullptr};

/// Import `definition`, let the threads increment under gil_scoped_acquire, and report whether the GIL is enabled.
static void count_beside(
    Context& context, PyModuleDef& definition, PyObject* (*init)(), void (*increment)(), const long long& counter) {
    if (PyImport_AppendInittab(definition.m_name, init) != 0) {
        throw std::runtime_error("the module could not be added to the table of built-in modules");
    }
    {
        const Interpreter python(context);
        py::import_module(definition.m_name);
        const long long expected = race_guarded(context, [&] {
            const py::gil_scoped_acquire gil;
            increment();
        });
        context.check("count", counter, expected);
    }
    context.value("gil_enabled", gil_record().enabled);
    context.value("gil_enabled_by", gil_record().enabled_by);
}

static PYTHON_TSAN_NOINLINE void increment_beside_marked() {
    const long long seen = g_beside_marked_counter;
    keep_apart();
    g_beside_marked_counter = seen + 1;
}

static PYTHON_TSAN_NOINLINE void increment_beside_unmarked() {
    const long long seen = g_beside_unmarked_counter;
    keep_apart();
    g_beside_unmarked_counter = seen + 1;
}

SCENARIO(
    module_with_gil_mark,
    "free_threading",
    "A module that declares Py_MOD_GIL_NOT_USED is imported: the GIL stays disabled, and a GIL guard locks nothing.",
    .race_without_gil("g_beside_marked_counter", "increment_beside_marked")
        .expect_value("gil_enabled", false)
        .expect_value("gil_enabled_by", "")
        .twin("module_without_gil_mark")
        .needs("free_threading")) {
    count_beside(
        context, g_marked, [] { return PyModuleDef_Init(&g_marked); }, increment_beside_marked,
        g_beside_marked_counter);
}

SCENARIO(module_without_gil_mark,
         "free_threading",
         "A module that does not declare it is imported: the GIL is enabled, so a clean run says nothing about free "
         "threading.",
         .clean()
             .clean_without_gil()
             .expect_value("gil_enabled", true)
             .expect_value("gil_enabled_by", "python_tsan_unmarked")
             .twin("module_with_gil_mark")
             .needs("free_threading")) {
    count_beside(
        context, g_unmarked, [] { return PyModuleDef_Init(&g_unmarked); }, increment_beside_unmarked,
        g_beside_unmarked_counter);
}

} // namespace python_tsan
