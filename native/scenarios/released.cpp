// A function that holds the GIL, releases it for slow work, and continues as if it still held it.

#include "harness/scenario.hpp"

namespace python_tsan {

long long g_racy_released_counter = 0;
long long g_reacquired_counter = 0;

static PYTHON_TSAN_NOINLINE void increment_while_released() {
    const long long seen = g_racy_released_counter;
    keep_apart();
    g_racy_released_counter = seen + 1;
}

static PYTHON_TSAN_NOINLINE void increment_after_reacquire() {
    const py::gil_scoped_acquire gil;
    {
        const py::gil_scoped_release slow_work;
    }
    const long long seen = g_reacquired_counter;
    keep_apart();
    g_reacquired_counter = seen + 1;
}

SCENARIO(counter_reacquired,
         "gil",
         "The increment follows after the GIL, released for slow work, has been acquired again.",
         .clean().twin("counter_released").race_without_gil("g_reacquired_counter", "increment_after_reacquire")) {
    const Interpreter python(context);
    const long long expected = race_guarded(context, increment_after_reacquire);
    context.check("count", g_reacquired_counter, expected);
}

// Both threads hold the GIL before and after, which orders those parts. They increment in turn while both have released
// it: the barrier keeps the first from acquiring it too early, which would order its increment.
SCENARIO(counter_released,
         "gil",
         "The increment is between gil_scoped_release and the point at which the GIL is acquired again.",
         .race("g_racy_released_counter", "increment_while_released").twin("counter_reacquired")) {
    const Interpreter python(context);
    Barrier gap(2);
    const auto job = [&](unsigned turn) {
        const py::gil_scoped_acquire gil;
        const py::gil_scoped_release slow_work;
        gap.wait();
        for (unsigned now = 0; now < 2; ++now) {
            if (now == turn) {
                increment_while_released();
            }
            gap.wait();
        }
    };
    race(context, {[&] { job(0); }, [&] { job(1); }});
    context.check("count", g_racy_released_counter, 2LL);
}

} // namespace python_tsan
