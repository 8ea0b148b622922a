// Nested GIL guards, short-lived threads, and repeated initialization and finalization of the interpreter.

#include "harness/scenario.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <vector>

namespace python_tsan {

long long g_nested_counter = 0;
std::atomic<long long> g_churn_counter{0};
std::atomic<long long> g_lifecycle_counter{0};

/// Increment under a guard that is taken twice, released between, and taken again through the other API.
static void count_nested() {
    const py::gil_scoped_acquire outer;
    const py::gil_scoped_acquire inner;
    g_nested_counter += 1;
    {
        const py::gil_scoped_release gap;
    }
    const PyGILState_STATE state = PyGILState_Ensure();
    g_nested_counter += 1;
    PyGILState_Release(state);
    g_nested_counter += 1;
}

SCENARIO(nested_acquire,
         "gil",
         "Guards nest: gil_scoped_acquire twice, a release in between, PyGILState_Ensure inside.",
         .clean().needs("gil")) {
    const Interpreter python(context);
    race(context, [&](unsigned) {
        for (unsigned i = 0; i < context.iterations(); ++i) {
            count_nested();
        }
    });
    context.check("count", g_nested_counter, 3 * context.total());
}

SCENARIO(thread_churn, "lifecycle", "A thousand threads, a few at a time, each take the GIL once and end.", .clean()) {
    const Interpreter python(context);
    constexpr unsigned total = 1000;
    unsigned started = 0;
    while (started < total) {
        const unsigned wave = std::min(context.threads(), total - started);
        race(context, std::vector<std::function<void()>>(wave, [] {
                 const py::gil_scoped_acquire gil;
                 g_churn_counter += static_cast<long long>(py::len(py::str("1")));
             }));
        started += wave;
    }
    context.check("threads", g_churn_counter.load(), static_cast<long long>(total));
}

SCENARIO(initialize_finalize,
         "lifecycle",
         "The interpreter is initialized and finalized five times; threads use it each time.",
         .clean().deadline(120)) {
    constexpr unsigned cycles = 5;
    for (unsigned cycle = 0; cycle < cycles; ++cycle) {
        const Interpreter python(context);
        race(context, [](unsigned) {
            const py::gil_scoped_acquire gil;
            g_lifecycle_counter += static_cast<long long>(py::len(py::str("abc")));
        });
    }
    context.check("count", g_lifecycle_counter.load(), 3LL * cycles * context.threads());
    context.check("python_is_gone", Py_IsInitialized() == 0, true);
}

} // namespace python_tsan
