// The detector's own test, without Python: a race that must be found and its twin that must be clean. If either fails,
// no other verdict of the run counts.

#include "harness/scenario.hpp"

#include <mutex>

namespace python_tsan {

long long g_canary_counter = 0;
long long g_canary_guarded_counter = 0;
static std::mutex g_canary_mutex;

static PYTHON_TSAN_NOINLINE void canary_increment_unguarded() {
    const long long seen = g_canary_counter;
    keep_apart();
    g_canary_counter = seen + 1;
}

static PYTHON_TSAN_NOINLINE void canary_increment_guarded() {
    const std::lock_guard<std::mutex> lock(g_canary_mutex);
    const long long seen = g_canary_guarded_counter;
    keep_apart();
    g_canary_guarded_counter = seen + 1;
}

SCENARIO(canary_race,
         "canary",
         "No Python: two threads increment a global in turn, without synchronization.",
         .race("g_canary_counter", "canary_increment_unguarded").twin("canary_safe")) {
    take_turns(context, {canary_increment_unguarded, canary_increment_unguarded});
    context.check("count", g_canary_counter, 2LL);
}

SCENARIO(canary_safe,
         "canary",
         "No Python: many threads increment a global at once, under a mutex.",
         .clean().twin("canary_race")) {
    race(context, [](unsigned) { canary_increment_guarded(); });
    context.check("count", g_canary_guarded_counter, static_cast<long long>(context.threads()));
}

} // namespace python_tsan
