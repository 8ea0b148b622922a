// A package whose body imports its own modules, and two threads that each import one of them: the most common pattern,
// in which ordinary tools for import cycles find nothing.

#include "harness/scenario.hpp"
#include "scenarios/imports_stage.hpp"

namespace python_tsan {

SCENARIO(imports_barrel,
         "imports",
         "T1 imports pkg.a and T2 imports pkg.b, while the body of pkg imports both.",
         .by_version("barrel").twin("imports_barrel_preimport")) {
    play_row(context, "barrel", "hazard");
}

SCENARIO(imports_barrel_preimport,
         "imports",
         "The same threads, after the main thread has imported pkg and its modules.",
         .by_version("barrel.preimport").twin("imports_barrel")) {
    play_row(context, "barrel", "preimport");
}

SCENARIO(imports_barrel_parent_first,
         "imports",
         "The same threads, each importing pkg first.",
         .by_version("barrel.parent_first").twin("imports_barrel")) {
    play_row(context, "barrel", "parent_first");
}

} // namespace python_tsan
