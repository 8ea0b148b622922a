// A valid cycle: the module is used only inside a function, after all modules are loaded. With two threads the function
// can run while the other thread is still executing that module.

#include "harness/scenario.hpp"
#include "scenarios/imports_stage.hpp"

namespace python_tsan {

SCENARIO(imports_lazy_cycle,
         "imports",
         "T1 is in a, which imports b before it defines VALUE; T2 calls a function of b that reads a.VALUE.",
         .by_version("lazy_cycle").twin("imports_lazy_cycle_preimport")) {
    play_row(context, "lazy_cycle", "hazard");
}

SCENARIO(imports_lazy_cycle_preimport,
         "imports",
         "The same threads, after the main thread has imported a and with it b.",
         .by_version("lazy_cycle.preimport").twin("imports_lazy_cycle")) {
    play_row(context, "lazy_cycle", "preimport");
}

} // namespace python_tsan
