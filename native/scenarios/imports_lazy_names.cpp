// Lazy imports (PEP 810, Python 3.15): a C++ thread calls a function that uses a lazy name, and with that imports, with
// the locks that it holds. Before 3.15 there is no such syntax, and the scenarios are left out.

#include "harness/scenario.hpp"
#include "scenarios/imports_stage.hpp"

namespace python_tsan {

SCENARIO(imports_lazy_read,
         "imports",
         "T2 calls a function that reads a.VALUE, where a is lazy and still executed by T1, which closes the cycle.",
         .by_version("lazy_read").twin("imports_lazy_read_preimport")) {
    play_row(context, "lazy_read", "hazard");
}

SCENARIO(imports_lazy_read_preimport,
         "imports",
         "The same threads, after the main thread has imported the module.",
         .by_version("lazy_read.preimport").twin("imports_lazy_read")) {
    play_row(context, "lazy_read", "preimport");
}

SCENARIO(imports_lazy_read_fixed,
         "imports",
         "The same threads, with the program changed.",
         .by_version("lazy_read.fixed").twin("imports_lazy_read")) {
    play_row(context, "lazy_read", "fixed");
}

SCENARIO(imports_lazy_in_bodies,
         "imports",
         "The same, and the imports of the bodies are lazy themselves.",
         .by_version("lazy_in_bodies").twin("imports_lazy_in_bodies_preimport")) {
    play_row(context, "lazy_in_bodies", "hazard");
}

SCENARIO(imports_lazy_in_bodies_preimport,
         "imports",
         "The same threads, after the main thread has imported the module.",
         .by_version("lazy_in_bodies.preimport").twin("imports_lazy_in_bodies")) {
    play_row(context, "lazy_in_bodies", "preimport");
}

SCENARIO(imports_lazy_in_bodies_fixed,
         "imports",
         "The same threads, with the program changed.",
         .by_version("lazy_in_bodies.fixed").twin("imports_lazy_in_bodies")) {
    play_row(context, "lazy_in_bodies", "fixed");
}

SCENARIO(imports_lazy_from_each_other,
         "imports",
         "T1 and T2 use lazy a and b, which take names from each other before they define their own.",
         .by_version("lazy_from_each_other").twin("imports_lazy_from_each_other_fixed")) {
    play_row(context, "lazy_from_each_other", "hazard");
}

SCENARIO(imports_lazy_from_each_other_fixed,
         "imports",
         "The same threads, with the program changed.",
         .by_version("lazy_from_each_other.fixed").twin("imports_lazy_from_each_other")) {
    play_row(context, "lazy_from_each_other", "fixed");
}

SCENARIO(imports_lazy_user_lock,
         "imports",
         "T1 uses lazy service with a lock held, which the body of service takes.",
         .by_version("lazy_user_lock").twin("imports_lazy_user_lock_preimport")) {
    play_row(context, "lazy_user_lock", "hazard");
}

SCENARIO(imports_lazy_user_lock_preimport,
         "imports",
         "The same threads, after the main thread has imported the module.",
         .by_version("lazy_user_lock.preimport").twin("imports_lazy_user_lock")) {
    play_row(context, "lazy_user_lock", "preimport");
}

SCENARIO(imports_lazy_user_lock_fixed,
         "imports",
         "The same threads, with the program changed.",
         .by_version("lazy_user_lock.fixed").twin("imports_lazy_user_lock")) {
    play_row(context, "lazy_user_lock", "fixed");
}

SCENARIO(imports_lazy_joining_body,
         "imports",
         "T1 uses lazy slow, whose body joins a thread that uses the same name.",
         .by_version("lazy_joining_body").twin("imports_lazy_joining_body_fixed")) {
    play_row(context, "lazy_joining_body", "hazard");
}

SCENARIO(imports_lazy_joining_body_fixed,
         "imports",
         "The same threads, with the program changed.",
         .by_version("lazy_joining_body.fixed").twin("imports_lazy_joining_body")) {
    play_row(context, "lazy_joining_body", "fixed");
}

SCENARIO(imports_lazy_fork,
         "imports",
         "T1 forks while T2 imports slow by a lazy name, and the child uses that name.",
         .by_version("lazy_fork").twin("imports_lazy_fork_preimport")) {
    play_row(context, "lazy_fork", "hazard");
}

SCENARIO(imports_lazy_fork_preimport,
         "imports",
         "The same threads, after the main thread has imported the module.",
         .by_version("lazy_fork.preimport").twin("imports_lazy_fork")) {
    play_row(context, "lazy_fork", "preimport");
}

SCENARIO(imports_lazy_signal,
         "imports",
         "A signal handler uses the lazy name that the main thread is resolving.",
         .by_version("lazy_signal").twin("imports_lazy_signal_preimport")) {
    play_row(context, "lazy_signal", "hazard");
}

SCENARIO(imports_lazy_signal_preimport,
         "imports",
         "The same threads, after the main thread has imported the module.",
         .by_version("lazy_signal.preimport").twin("imports_lazy_signal")) {
    play_row(context, "lazy_signal", "preimport");
}

SCENARIO(imports_lazy_finalizer,
         "imports",
         "A __del__ uses the lazy name that its thread is resolving.",
         .by_version("lazy_finalizer").twin("imports_lazy_finalizer_fixed")) {
    play_row(context, "lazy_finalizer", "hazard");
}

SCENARIO(imports_lazy_finalizer_fixed,
         "imports",
         "The same threads, with the program changed.",
         .by_version("lazy_finalizer.fixed").twin("imports_lazy_finalizer")) {
    play_row(context, "lazy_finalizer", "fixed");
}

SCENARIO(imports_lazy_same_name,
         "imports",
         "T1 and T2 use the same lazy name at the same time; T2 waits, and both go on.",
         .by_version("lazy_same_name")) {
    play_row(context, "lazy_same_name", "hazard");
}

} // namespace python_tsan
