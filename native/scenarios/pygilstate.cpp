// The counter again, for embedders who call CPython's API without a binding.

#include "harness/scenario.hpp"

namespace python_tsan {

long long g_racy_pygilstate_counter = 0;
long long g_pygilstate_counter = 0;
long long g_allowing_counter = 0;
long long g_allowed_counter = 0;

static PYTHON_TSAN_NOINLINE void increment_before_ensure() {
    const long long seen = g_racy_pygilstate_counter;
    keep_apart();
    g_racy_pygilstate_counter = seen + 1;
    // Too late: the GIL does not order what precedes it in this thread's first iteration.
    PyGILState_Release(PyGILState_Ensure());
}

static PYTHON_TSAN_NOINLINE void increment_under_ensure() {
    const PyGILState_STATE state = PyGILState_Ensure();
    const long long seen = g_pygilstate_counter;
    keep_apart();
    g_pygilstate_counter = seen + 1;
    PyGILState_Release(state);
}

SCENARIO(pygilstate_guarded,
         "gil",
         "Every increment is between PyGILState_Ensure and PyGILState_Release.",
         .clean().twin("pygilstate_unguarded").race_without_gil("g_pygilstate_counter", "increment_under_ensure")) {
    const Interpreter python(context);
    const long long expected = race_guarded(context, increment_under_ensure);
    context.check("count", g_pygilstate_counter, expected);
}

SCENARIO(pygilstate_unguarded,
         "gil",
         "Each thread increments first and calls PyGILState_Ensure afterwards.",
         .race("g_racy_pygilstate_counter", "increment_before_ensure").twin("pygilstate_guarded")) {
    const Interpreter python(context);
    take_turns(context, {increment_before_ensure, increment_before_ensure});
    context.check("count", g_racy_pygilstate_counter, 2LL);
}

static PYTHON_TSAN_NOINLINE void increment_while_allowing() {
    const long long seen = g_allowing_counter;
    keep_apart();
    g_allowing_counter = seen + 1;
}

static PYTHON_TSAN_NOINLINE void increment_after_allowing() {
    const PyGILState_STATE state = PyGILState_Ensure();
    Py_BEGIN_ALLOW_THREADS
    Py_END_ALLOW_THREADS
    const long long seen = g_allowed_counter;
    keep_apart();
    g_allowed_counter = seen + 1;
    PyGILState_Release(state);
}

SCENARIO(pygilstate_reacquired,
         "gil",
         "The increment follows Py_END_ALLOW_THREADS, which has acquired the GIL again.",
         .clean().twin("pygilstate_allowing").race_without_gil("g_allowed_counter", "increment_after_allowing")) {
    const Interpreter python(context);
    const long long expected = race_guarded(context, increment_after_allowing);
    context.check("count", g_allowed_counter, expected);
}

// Both threads hold the GIL before and after, as in counter_released.
SCENARIO(pygilstate_allowing,
         "gil",
         "The increment is between Py_BEGIN_ALLOW_THREADS and Py_END_ALLOW_THREADS.",
         .race("g_allowing_counter", "increment_while_allowing").twin("pygilstate_reacquired")) {
    const Interpreter python(context);
    Barrier gap(2);
    const auto job = [&](unsigned mine) {
        const PyGILState_STATE state = PyGILState_Ensure();
        Py_BEGIN_ALLOW_THREADS
        gap.wait();
        for (unsigned turn = 0; turn < 2; ++turn) {
            if (turn == mine) {
                increment_while_allowing();
            }
            gap.wait();
        }
        Py_END_ALLOW_THREADS
        PyGILState_Release(state);
    };
    race(context, {[&] { job(0); }, [&] { job(1); }});
    context.check("count", g_allowing_counter, 2LL);
}

} // namespace python_tsan
