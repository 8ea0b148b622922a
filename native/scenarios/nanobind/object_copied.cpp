// An nb::object copied without the GIL. With assertions enabled, as here, nanobind checks for the GIL before it
// counts, and aborts the process. pybind11 has the same scenario in scenarios/pybind11; reference_counts.cpp shows what
// happens without a check.

#include "harness/scenario.hpp"

namespace python_tsan {

SCENARIO(object_copied_unguarded,
         "objects",
         "A thread copies an nb::object without the GIL: nanobind aborts the process.",
         .crash("attempted to change the reference count of a Python object .*while the GIL was not held")
             .twin("object_copied_guarded")) {
    const Interpreter python(context);
    const py::object shared = py::list();
    race(context, {[&] { const py::object copy = shared; }});
}

} // namespace python_tsan
