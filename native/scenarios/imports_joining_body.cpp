// A module's body that starts a thread and waits for it. CPython cannot see a cycle of which one edge is a join.

#include "harness/scenario.hpp"
#include "scenarios/imports_stage.hpp"

namespace python_tsan {

SCENARIO(imports_joining_body,
         "imports",
         "The body of starter joins a thread that imports starter.",
         .by_version("joining_body").twin("imports_joining_body_fixed")) {
    play_row(context, "joining_body", "hazard");
}

SCENARIO(imports_joining_body_fixed,
         "imports",
         "The same body without the join.",
         .by_version("joining_body.fixed").twin("imports_joining_body")) {
    play_row(context, "joining_body", "fixed");
}

SCENARIO(imports_joining_other,
         "imports",
         "The body of starter joins a thread that imports another module: harmless, unless a lock is held around every "
         "import.",
         .by_version("joining_other")) {
    play_row(context, "joining_other", "hazard");
}

} // namespace python_tsan
