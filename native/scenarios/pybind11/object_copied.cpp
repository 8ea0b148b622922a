// A py::object copied without the GIL. With assertions enabled, as here, pybind11 checks for the GIL before it
// counts, and throws. nanobind has the same scenario in scenarios/nanobind; reference_counts.cpp shows what happens
// without a check.

#include "harness/scenario.hpp"

namespace python_tsan {

SCENARIO(object_copied_unguarded,
         "objects",
         "A thread copies a py::object without the GIL: pybind11 throws.",
         .error("inc_ref.. PyGILState_Check.. failure", "T1").twin("object_copied_guarded")) {
    const Interpreter python(context);
    const py::object shared = py::list();
    race(context, {[&] { const py::object copy = shared; }});
}

} // namespace python_tsan
