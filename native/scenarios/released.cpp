// A function that rightly holds the GIL, lets go of it for some slow work, and goes on as if it still had it.

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
         "The increment comes after the GIL, released for slow work, has been taken back.",
         .clean().twin("counter_released").race_without_gil("g_reacquired_counter", "increment_after_reacquire")) {
    const Interpreter python(context);
    const long long wanted = race_guarded(context, increment_after_reacquire);
    context.check("count", g_reacquired_counter, wanted);
}

// Both threads hold the GIL before and after, which orders those parts. They increment one after the other while both
// have let go of it: the barrier keeps the first from taking it back, and so from ordering what it did, too early.
SCENARIO(counter_released,
         "gil",
         "The increment stands between gil_scoped_release and the moment that the GIL is taken back.",
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
