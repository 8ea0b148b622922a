// A fork while another thread imports. The child inherits the module's lock, but no thread that could release it.

#include "harness/scenario.hpp"
#include "scenarios/imports_stage.hpp"

namespace python_tsan {

SCENARIO(imports_fork,
         "imports",
         "T1 forks while T2 is in the body of slow; the child imports slow, and T1 waits for the child.",
         .by_version("fork").twin("imports_fork_preimport")) {
    play_row(context, "fork", "hazard");
}

SCENARIO(imports_fork_preimport,
         "imports",
         "The same threads, after the main thread has imported slow.",
         .by_version("fork.preimport").twin("imports_fork")) {
    play_row(context, "fork", "preimport");
}

SCENARIO(imports_fork_other,
         "imports",
         "The child imports a module that nobody was importing: harmless, unless a lock is held around every import.",
         .by_version("fork_other")) {
    play_row(context, "fork_other", "hazard");
}

} // namespace python_tsan
