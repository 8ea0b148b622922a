// Races inside CPython itself, each known upstream, each without a defect of the program that shows it. They prove that
// the suppressions which this package ships are needed, and fail once CPython has been mended.

#include "harness/scenario.hpp"

#include <thread>

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

// https://github.com/python/cpython/issues/131680: mended in 3.14. The races are on the key's owner and on its two
// counts of references, as far as the sanitizer remembers who wrote them: it does four accesses of a word.
SCENARIO(
    key_inserted_beside_a_lookup,
    "defects",
    "T1 puts a new key into a dict, T2 looks up an equal one: what was written into the new object is not ordered.",
    .defects({"write", "atomic read"}).needs("free_threading").full_lane_only()) {
    const Interpreter python(context);
    constexpr long key = 1'000'000; // too large to be kept by Python
    py::dict names;
    py::exec("numbers = {1: 0, 2: 0}", names); // no key that is a string, and room for another
    const py::object numbers = names["numbers"], wanted = py::int_(key), value = py::int_(0);
    const auto insert = [&] {
        const py::gil_scoped_acquire attached;
        const py::int_ fresh(key);
        PyObject_SetItem(numbers.ptr(), fresh.ptr(), value.ptr());
    };
    const auto look = [&] {
        const py::gil_scoped_acquire attached;
        py::steal<py::object>(PyObject_GetItem(numbers.ptr(), wanted.ptr()));
    };
    {
        // The first look by another thread than the dict's takes its lock, which would order the turns.
        const py::gil_scoped_release released;
        std::thread([&] {
            const py::gil_scoped_acquire attached;
            PyDict_Contains(numbers.ptr(), value.ptr());
        }).join();
    }
    take_turns_known(context, {insert, look});
}

} // namespace python_tsan
