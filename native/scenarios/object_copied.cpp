// A binding's object copied under the GIL. The effect without the GIL depends on the binding: see the files of this
// name in its folder.

#include "harness/scenario.hpp"

namespace python_tsan {

SCENARIO(object_copied_guarded,
         "objects",
         "All threads copy the object, each under a guard, and destroy their copies before it ends.",
         .clean().twin("object_copied_unguarded")) {
    const Interpreter python(context);
    const py::object shared = py::list();
    const auto before = Py_REFCNT(shared.ptr());
    race(context, [&](unsigned) {
        for (unsigned i = 0; i < context.iterations(); ++i) {
            const py::gil_scoped_acquire gil;
            const py::object copy = shared;
        }
    });
    context.check("references", static_cast<long long>(Py_REFCNT(shared.ptr())), static_cast<long long>(before));
}

} // namespace python_tsan
