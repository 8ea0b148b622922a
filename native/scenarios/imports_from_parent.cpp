// A package and its module take names from each other, in an order that works in one thread. Up to 3.13.15 a second
// thread gets a partially initialized module, or a KeyError; from 3.13.16 on it waits for the parent, which is a cycle:
// https://github.com/python/cpython/issues/130094

#include "harness/scenario.hpp"
#include "scenarios/imports_stage.hpp"

namespace python_tsan {

SCENARIO(imports_from_parent,
         "imports",
         "T2 is in the body of pkg, which takes a name from pkg.sub; T1 imports pkg.sub, which takes a name from pkg.",
         .by_version("from_parent").twin("imports_from_parent_preimport")) {
    play_row(context, "from_parent", "hazard");
}

SCENARIO(imports_from_parent_preimport,
         "imports",
         "The same threads, after the main thread has imported pkg and pkg.sub.",
         .by_version("from_parent.preimport").twin("imports_from_parent")) {
    play_row(context, "from_parent", "preimport");
}

SCENARIO(imports_from_parent_parent_first,
         "imports",
         "The same threads, but T1 imports pkg before pkg.sub.",
         .by_version("from_parent.parent_first").twin("imports_from_parent")) {
    play_row(context, "from_parent", "parent_first");
}

} // namespace python_tsan
