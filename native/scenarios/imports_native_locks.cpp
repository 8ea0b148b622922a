// A native lock around an import. The import releases the GIL, so a thread that waits for the lock with the GIL held
// blocks the lock's owner forever. A function's static variable has such a lock, which the source does not show.

#include "harness/scenario.hpp"

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

namespace python_tsan {

static std::mutex g_wrong_import_mutex;
static std::mutex g_right_import_mutex;
static std::once_flag g_wrong_import_once;
static std::once_flag g_right_import_once;
static std::atomic<bool> g_first_is_inside{false};
static std::atomic<bool> g_other_is_at_the_lock{false};
static Waits* g_import_waits = nullptr; // for the initialiser of a static variable, which takes no argument

/// T1 holds the native lock and imports until T2 has reached it. The import is real: the module's body waits, with the
/// GIL released as a read of a file would release it.
static void import_until_other_waits() {
    g_import_waits->own("T1", "the native lock");
    py::dict names;
    names["wait"] = py::cpp_function([] {
        g_first_is_inside.store(true);
        {
            const py::gil_scoped_release as_file_access_does;
            while (!g_other_is_at_the_lock.load()) {
                std::this_thread::yield();
            }
            g_import_waits->want("T1", "the GIL");
        }
        g_import_waits->own("T1", "the GIL");
    });
    py::exec(R"(
import sys
from importlib.machinery import ModuleSpec

class SlowModule:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name == "slow_module" else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        wait()

sys.meta_path.insert(0, SlowModule())
)",
             names);
    py::import_module("slow_module");
}

/// T1 imports with the lock held; T2 reaches the lock with the GIL held, once T1 is in the module's body.
static void import_in_lock_and_wait_with_gil(Context& context, const std::function<void(bool first)>& under_lock) {
    const Interpreter python(context);
    Waits waits(context.options());
    g_import_waits = &waits;
    const auto importing = [&] {
        const py::gil_scoped_acquire gil;
        under_lock(true);
    };
    const auto waiting = [&] {
        while (!g_first_is_inside.load()) {
            std::this_thread::yield();
        }
        const py::gil_scoped_acquire gil;
        waits.own("T2", "the GIL");
        call_from_python("wait_for_native_lock", [&] {
            // From here to the lock no Python code runs, in which CPython could hand the GIL to T1 after 5 ms.
            g_other_is_at_the_lock.store(true);
            waits.want("T2", "the native lock");
            under_lock(false);
            waits.own("T2", "the native lock");
        });
    };
    race(context, {importing, waiting});
}

SCENARIO(imports_global_lock_wrong_order,
         "imports",
         "T1 imports under a std::mutex taken with the GIL held; T2 waits for that mutex with the GIL held.",
         .hang(60)
             .waits({"T1 waits for the GIL, held by T2", "T2 waits for the native lock, held by T1"})
             .twin("imports_global_lock_right_order")
             .needs("gil")) {
    import_in_lock_and_wait_with_gil(context, [](bool first) {
        const std::lock_guard<std::mutex> lock(g_wrong_import_mutex);
        if (first) {
            import_until_other_waits();
        }
    });
}

SCENARIO(imports_global_lock_right_order,
         "imports",
         "The same import under a std::mutex that each thread waits for with the GIL released.",
         .clean().twin("imports_global_lock_wrong_order").needs("gil")) {
    import_in_lock_and_wait_with_gil(context, [](bool first) {
        const py::gil_scoped_release before_the_mutex;
        const std::lock_guard<std::mutex> lock(g_right_import_mutex);
        if (first) {
            const py::gil_scoped_acquire inside_it;
            import_until_other_waits();
        }
    });
}

SCENARIO(imports_call_once,
         "imports",
         "T1 imports inside std::call_once, entered with the GIL held; T2 waits at its flag with the GIL held.",
         .hang(60)
             .waits({"T1 waits for the GIL, held by T2", "T2 waits for the native lock, held by T1"})
             .twin("imports_call_once_released")
             .needs("gil")) {
    import_in_lock_and_wait_with_gil(context,
                                     [](bool) { std::call_once(g_wrong_import_once, import_until_other_waits); });
}

SCENARIO(imports_call_once_released,
         "imports",
         "The same std::call_once, entered with the GIL released and taking the GIL inside.",
         .clean().twin("imports_call_once").needs("gil")) {
    import_in_lock_and_wait_with_gil(context, [](bool) {
        const py::gil_scoped_release before_the_flag;
        std::call_once(g_right_import_once, [] {
            const py::gil_scoped_acquire inside_it;
            import_until_other_waits();
        });
    });
}

static bool& imported_once() {
    static bool imported = (import_until_other_waits(), true);
    return imported;
}

SCENARIO(imports_static_guard,
         "imports",
         "T1 imports while it initialises a function's static variable; T2 waits at its guard with the GIL held.",
         .hang(60)
             .waits({"T1 waits for the GIL, held by T2", "T2 waits for the native lock, held by T1"})
             .twin("imports_static_guard_released")
             .needs("gil")) {
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
