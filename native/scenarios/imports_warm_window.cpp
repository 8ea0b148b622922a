// The window that gh-130094 opened in 3.13.16 and 3.14: the import of a child while its parent's body runs waits for
// the parent with the child's lock held, and that body then imports the child.
// https://github.com/python/cpython/issues/130094

#include "harness/scenario.hpp"
#include "scenarios/imports_stage.hpp"

namespace python_tsan {

SCENARIO(imports_warm_window,
         "imports",
         "T2 is in the body of pkg; T1 imports pkg.sub; then that body comes to its own import of pkg.sub.",
         .by_version("warm_window").twin("imports_warm_window_preimport")) {
    play_row(context, "warm_window", "hazard");
}

SCENARIO(imports_warm_window_preimport,
         "imports",
         "The same threads, after the main thread has imported pkg and pkg.sub.",
         .by_version("warm_window.preimport").twin("imports_warm_window")) {
    play_row(context, "warm_window", "preimport");
}

SCENARIO(imports_warm_window_parent_first,
         "imports",
         "The same threads, but T1 imports pkg before pkg.sub.",
         .by_version("warm_window.parent_first").twin("imports_warm_window")) {
    play_row(context, "warm_window", "parent_first");
}

} // namespace python_tsan
