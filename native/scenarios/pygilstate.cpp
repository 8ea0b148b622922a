// The counter again, for embedders who call CPython's own API and know nothing of pybind11.

#include "harness/scenario.hpp"

namespace python_tsan {

long long g_racy_pygilstate_counter = 0;
long long g_pygilstate_counter = 0;

static PYTHON_TSAN_NOINLINE void increment_before_ensure() {
    const long long seen = g_racy_pygilstate_counter;
    keep_apart();
    g_racy_pygilstate_counter = seen + 1;
    // Too late: the GIL orders nothing that came before it in this thread's first iteration.
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
         "Every increment stands between PyGILState_Ensure and PyGILState_Release.",
         .clean().twin("pygilstate_unguarded").race_without_gil("g_pygilstate_counter", "increment_under_ensure")) {
    const Interpreter python(context);
    const long long wanted = race_guarded(context, increment_under_ensure);
    context.check("count", g_pygilstate_counter, wanted);
}

SCENARIO(pygilstate_unguarded,
         "gil",
         "Each thread increments first and calls PyGILState_Ensure afterwards.",
         .race("g_racy_pygilstate_counter", "increment_before_ensure").twin("pygilstate_guarded")) {
    const Interpreter python(context);
    take_turns(context, {increment_before_ensure, increment_before_ensure});
    context.check("count", g_racy_pygilstate_counter, 2LL);
}

} // namespace python_tsan
