// A counter that needs no GIL, because it is atomic.

#include "harness/scenario.hpp"

#include <atomic>

namespace python_tsan {

std::atomic<long long> g_atomic_counter{0};

static PYTHON_TSAN_NOINLINE void increment_atomic() {
    g_atomic_counter.fetch_add(1, std::memory_order_relaxed);
}

SCENARIO(counter_atomic,
         "gil",
         "Threads without the GIL increment a relaxed atomic.",
         .clean().twin("counter_unguarded")) {
    const Interpreter python(context);
    race(context, [&](unsigned) {
        for (unsigned i = 0; i < context.iterations(); ++i) {
            increment_atomic();
        }
    });
    context.check("count", g_atomic_counter.load(), context.total());
}

} // namespace python_tsan
