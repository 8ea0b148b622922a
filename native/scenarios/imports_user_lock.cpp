// A lock of the program, taken in a module's body and around an import: CPython cannot see this half of the cycle.

#include "harness/scenario.hpp"
#include "scenarios/imports_stage.hpp"

namespace python_tsan {

SCENARIO(imports_user_lock,
         "imports",
         "T1 imports service with a lock held; T2 is in the body of service and waits for that lock.",
         .by_version("user_lock").twin("imports_user_lock_preimport")) {
    play_row(context, "user_lock", "hazard");
}

SCENARIO(imports_user_lock_preimport,
         "imports",
         "The same threads, after the main thread has imported service.",
         .by_version("user_lock.preimport").twin("imports_user_lock")) {
    play_row(context, "user_lock", "preimport");
}

SCENARIO(imports_user_lock_fixed,
         "imports",
         "The same threads, but T1 imports service before it takes the lock.",
         .by_version("user_lock.fixed").twin("imports_user_lock")) {
    play_row(context, "user_lock", "fixed");
}

} // namespace python_tsan
