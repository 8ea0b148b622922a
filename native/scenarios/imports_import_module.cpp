// Two modules that import each other by importlib.import_module. Unlike an import statement, it waits for a module that
// another thread is executing without accepting a partially initialized one, so the cycle ends in _DeadlockError up
// to 3.14. https://github.com/python/cpython/issues/82276

#include "harness/scenario.hpp"
#include "scenarios/imports_stage.hpp"

namespace python_tsan {

SCENARIO(imports_import_module,
         "imports",
         "T1 is in pkg.a and waits for pkg.b; T2 is in pkg.b and comes to import_module('pkg.a').",
         .by_version("import_module").twin("imports_import_module_preimport").repeats(3)) {
    play_row(context, "import_module", "hazard");
}

SCENARIO(imports_import_module_preimport,
         "imports",
         "The same threads, after the main thread has imported pkg.a and with it pkg.b.",
         .by_version("import_module.preimport").twin("imports_import_module")) {
    play_row(context, "import_module", "preimport");
}

SCENARIO(imports_import_module_parent_first,
         "imports",
         "The same threads, each importing pkg first: this does not prevent a cycle between siblings.",
         .by_version("import_module.parent_first").twin("imports_import_module_preimport")) {
    play_row(context, "import_module", "parent_first");
}

SCENARIO(imports_import_module_global_lock,
         "imports",
         "The same threads, each importing under one std::mutex that it takes with the GIL released.",
         .by_version("import_module.one_at_a_time").twin("imports_global_lock_wrong_order")) {
    play_row(context, "import_module", "one_at_a_time");
}

} // namespace python_tsan
