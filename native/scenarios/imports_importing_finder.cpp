// A finder that imports. Finders are called with the global import lock held, so one that waits for a module
// blocks every import in other threads.

#include "harness/scenario.hpp"
#include "scenarios/imports_stage.hpp"

namespace python_tsan {

SCENARIO(imports_importing_finder,
         "imports",
         "T1 is in a finder and waits for needed; T2 is in the body of needed and waits for the global import lock.",
         .by_version("importing_finder").twin("imports_importing_finder_preimport")) {
    play_row(context, "importing_finder", "hazard");
}

SCENARIO(imports_importing_finder_preimport,
         "imports",
         "The same threads, after the main thread has imported needed.",
         .by_version("importing_finder.preimport").twin("imports_importing_finder")) {
    play_row(context, "importing_finder", "preimport");
}

} // namespace python_tsan
