// Races inside CPython itself, each known upstream, each without a defect of the program that shows it. They prove that
// the suppressions which this package ships are needed, and fail once CPython has been mended.

#include "harness/scenario.hpp"

namespace python_tsan {

// https://github.com/python/cpython/issues/128130: mended in 3.14
SCENARIO(eval_in_two_threads,
         "defects",
         "Two threads evaluate text by PyRun_String: without a GIL, both clear one global flag of CPython's.",
         .defect({"write", "write"}).needs("free_threading").full_lane_only()) {
    const Interpreter python(context);
    take_turns_known(context, std::vector<std::function<void()>>(2, [] {
                         const py::gil_scoped_acquire attached;
                         const py::dict names;
                         py::steal<py::object>(PyRun_String("1", Py_eval_input, names.ptr(), names.ptr()));
                     }));
}

// https://github.com/python/cpython/issues/127266
SCENARIO(method_replaced_beside_its_use,
         "defects",
         "T1 replaces a type's __len__, T2 asks an object of that type for its length: nothing orders the slot.",
         .defect({"write", "read"}).needs("free_threading").full_lane_only()) {
    const Interpreter python(context);
    py::dict names;
    py::exec("class Sized:\n    def __len__(self): return 1\nit = Sized()", names);
    const py::object type = names["Sized"], it = names["it"];
    const py::object other = py::eval("lambda self: 2", names);
    const auto replace = [&] {
        const py::gil_scoped_acquire attached;
        type.attr("__len__") = other;
    };
    const auto use = [&] {
        const py::gil_scoped_acquire attached;
        PyObject_Size(it.ptr());
    };
    take_turns_known(context, {replace, use});
}

} // namespace python_tsan
