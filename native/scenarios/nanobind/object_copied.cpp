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

} // namespace python_tsan
