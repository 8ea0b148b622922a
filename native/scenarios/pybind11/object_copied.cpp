// A py::object copied without the GIL. Where assertions are compiled in, as here, pybind11 looks before it counts, and
// throws. nanobind has the same scenario in scenarios/nanobind; reference_counts.cpp shows what happens where nobody
// looks.

#include "harness/scenario.hpp"

namespace python_tsan {

SCENARIO(object_copied_unguarded,
         "objects",
         "A thread copies an object of the binding's without the GIL: pybind11 throws.",
         .error("inc_ref.. PyGILState_Check.. failure", "T1").twin("object_copied_guarded")) {
    const Interpreter python(context);
    const py::object shared = py::list();
    race(context, {[&] { const py::object copy = shared; }});
}

} // namespace python_tsan
