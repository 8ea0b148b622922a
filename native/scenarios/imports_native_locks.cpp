// A native lock round an import. The import lets go of the GIL inside, so whoever waits for the lock with the GIL held
// keeps its owner from ever coming back. A function's static variable is such a lock, taken unseen.

#include "harness/scenario.hpp"

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

namespace python_tsan {

static std::mutex g_wrong_import_mutex;
static std::atomic<bool> g_other_is_at_the_lock{false};

/// Import something while the other thread comes to the lock. The import really happens: the module's body is the
/// wait, with the GIL released as a read of a file would release it.
static void import_until_other_waits() {
    py::dict names;
    names["wait"] = py::cpp_function([] {
        const py::gil_scoped_release as_file_access_does;
        while (!g_other_is_at_the_lock.load()) {
            std::this_thread::yield();
        }
    });
    const py::object add_meta_path = py::eval("lambda loader: __import__('sys').meta_path.insert(0, loader)");
    py::exec(R"(
from importlib.machinery import ModuleSpec

class SlowModule:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name == "slow_module" else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        wait()
)",
             names);
    add_meta_path(names["SlowModule"]());
    py::module_::import("slow_module");
}

/// T1 imports inside the lock; T2 comes to the lock with the GIL held, once T1 has let go of the GIL.
static void import_in_lock_and_wait_with_gil(Context& context, const std::function<void(bool first)>& under_lock) {
    const Interpreter python(context);
    std::atomic<bool> first_is_inside{false};
    const auto importing = [&] {
        const py::gil_scoped_acquire gil;
        first_is_inside.store(true);
        under_lock(true);
    };
    const auto waiting = [&] {
        while (!first_is_inside.load()) {
            std::this_thread::yield();
        }
        const py::gil_scoped_acquire gil;
        g_other_is_at_the_lock.store(true);
        under_lock(false);
    };
    race(context, {importing, waiting});
}

SCENARIO(imports_global_lock_wrong_order,
         "imports",
         "T1 imports under a std::mutex taken with the GIL held; T2 waits for that mutex with the GIL held.",
         .hang(4).twin("imports_cold_window_global_lock").needs("gil")) {
    import_in_lock_and_wait_with_gil(context, [](bool first) {
        const std::lock_guard<std::mutex> lock(g_wrong_import_mutex);
        if (first) {
            import_until_other_waits();
        }
    });
}

static bool& imported_once() {
    static bool imported = (import_until_other_waits(), true);
    return imported;
}

SCENARIO(imports_static_guard,
         "imports",
         "T1 imports while it initialises a function's static variable; T2 waits at its guard with the GIL held.",
         .hang(4).twin("imports_static_guard_released").needs("gil")) {
    import_in_lock_and_wait_with_gil(context, [](bool) { imported_once(); });
}

static bool& imported_once_released() {
    static bool imported = [] {
        const py::gil_scoped_acquire inside_it;
        import_until_other_waits();
        return true;
    }();
    return imported;
}

SCENARIO(imports_static_guard_released,
         "imports",
         "The same static variable, reached with the GIL released and initialised with the GIL taken inside.",
         .clean().twin("imports_static_guard").needs("gil")) {
    import_in_lock_and_wait_with_gil(context, [](bool) {
        const py::gil_scoped_release before_the_guard;
        imported_once_released();
    });
}

} // namespace python_tsan
