// A global counter incremented from C++ threads, with and without the binding's GIL guard.

#include "harness/scenario.hpp"

namespace python_tsan {

long long g_racy_counter = 0;
long long g_guarded_counter = 0;

static PYTHON_TSAN_NOINLINE void increment_unguarded() {
    const long long seen = g_racy_counter;
    keep_apart();
    g_racy_counter = seen + 1;
}

static PYTHON_TSAN_NOINLINE void increment_guarded() {
    const py::gil_scoped_acquire gil;
    const long long seen = g_guarded_counter;
    keep_apart();
    g_guarded_counter = seen + 1;
}

SCENARIO(counter_guarded,
         "gil",
         "Every increment of the global holds the GIL through gil_scoped_acquire.",
         .clean().twin("counter_unguarded").race_without_gil("g_guarded_counter", "increment_guarded")) {
    const Interpreter python(context);
    const long long expected = race_guarded(context, increment_guarded);
    context.check("count", g_guarded_counter, expected);
}

SCENARIO(counter_unguarded,
         "gil",
         "The same increments without the GIL. Two threads take turns, so the total is right despite the race.",
         .race("g_racy_counter", "increment_unguarded").twin("counter_guarded")) {
    const Interpreter python(context);
    const auto work = [&] {
        for (unsigned i = 0; i < context.iterations(); ++i) {
            increment_unguarded();
        }
    };
    take_turns(context, {work, work});
    context.check("count", g_racy_counter, 2LL * context.iterations());
}

} // namespace python_tsan
