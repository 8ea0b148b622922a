// An nb::object copied without the GIL. Where assertions are compiled in, as here, nanobind looks before it counts, and
// ends the process. pybind11 has the same scenario in scenarios/pybind11; reference_counts.cpp shows what happens where
// nobody looks.

#include "harness/scenario.hpp"

namespace python_tsan {

SCENARIO(object_copied_unguarded,
         "objects",
         "A thread copies an object of the binding's without the GIL: nanobind ends the process.",
         .crash("attempted to change the reference count of a Python object .*while the GIL was not held")
             .twin("object_copied_guarded")) {
    const Interpreter python(context);
    const py::object shared = py::list();
    race(context, {[&] { const py::object copy = shared; }});
}

SCENARIO(object_copied_guarded,
         "objects",
         "All threads copy the object, each under a guard, and are rid of their copies before it ends.",
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
