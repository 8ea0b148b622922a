// Modules that import each other while they are created, before they are in sys.modules: no partially initialized
// module can be returned, so that the cycle is an error in every release.

#include "harness/scenario.hpp"
#include "scenarios/imports_stage.hpp"

namespace python_tsan {

SCENARIO(imports_create_cycle,
         "imports",
         "T1 is creating a and waits for b; T2 is creating b and comes to its import of a.",
         .by_version("create_cycle").twin("imports_create_cycle_preimport")) {
    play_row(context, "create_cycle", "hazard");
}

SCENARIO(imports_create_cycle_preimport,
         "imports",
         "The same threads, after the main thread has imported both.",
         .by_version("create_cycle.preimport").twin("imports_create_cycle")) {
    play_row(context, "create_cycle", "preimport");
}

} // namespace python_tsan
