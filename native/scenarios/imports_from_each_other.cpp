// Two modules that take names from each other before they define their own: broken in one thread too. CPython detects
// the cycle of locks and returns partially initialized modules, in every release; the modules have to be fixed.

#include "harness/scenario.hpp"
#include "scenarios/imports_stage.hpp"

namespace python_tsan {

SCENARIO(imports_from_each_other,
         "imports",
         "T1 is in a and takes a name from b; T2 is in b and takes a name from a.",
         .by_version("from_each_other").twin("imports_from_each_other_fixed")) {
    play_row(context, "from_each_other", "hazard");
}

SCENARIO(imports_from_each_other_fixed,
         "imports",
         "The same threads; each module defines its name before it takes the other's.",
         .by_version("from_each_other.fixed").twin("imports_from_each_other")) {
    play_row(context, "from_each_other", "fixed");
}

} // namespace python_tsan
