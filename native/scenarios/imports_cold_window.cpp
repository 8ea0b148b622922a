// The deadlock of the original report. A thread that imports pkg.sub owns that module's lock before it requests pkg;
// another thread owns pkg, which is not yet in sys.modules, and its body requests pkg.sub. CPython detects the cycle
// and raises _DeadlockError in the thread that closes it. https://github.com/python/cpython/issues/83065

#include "harness/scenario.hpp"
#include "scenarios/imports_stage.hpp"

namespace python_tsan {

SCENARIO(imports_cold_window,
         "imports",
         "T1 imports pkg.sub and waits for pkg; T2, about to run the body of pkg, comes to its import of pkg.sub.",
         .by_version("cold_window").twin("imports_cold_window_preimport").repeats(3)) {
    play_row(context, "cold_window", "hazard");
}

SCENARIO(imports_cold_window_preimport,
         "imports",
         "The same threads, after the main thread has imported pkg and pkg.sub.",
         .by_version("cold_window.preimport").twin("imports_cold_window")) {
    play_row(context, "cold_window", "preimport");
}

SCENARIO(imports_cold_window_parent_first,
         "imports",
         "The same threads, but T1 imports pkg before pkg.sub.",
         .by_version("cold_window.parent_first").twin("imports_cold_window")) {
    play_row(context, "cold_window", "parent_first");
}

SCENARIO(imports_cold_window_global_lock,
         "imports",
         "The same threads, each importing under one std::mutex that it takes with the GIL released.",
         .by_version("cold_window.one_at_a_time").twin("imports_global_lock_wrong_order")) {
    play_row(context, "cold_window", "one_at_a_time");
}

} // namespace python_tsan
