// Races inside CPython itself, known upstream, in programs that do nothing wrong. They show that the suppressions in
// this package are needed, and fail once CPython is fixed, unless they say since when it is.

#include "harness/scenario.hpp"

#include <thread>

namespace python_tsan {

// https://github.com/python/cpython/issues/128130: fixed in 3.14
SCENARIO(eval_in_two_threads,
         "defects",
         "Two threads call PyRun_String: without a GIL, both clear the same global flag in CPython.",
         .defect({"write", "write"}).clean_from(0x030E0000).needs("free_threading").full_lane_only()) {
    const Interpreter python(context);
    take_turns_known(context, std::vector<std::function<void()>>(2, [] {
                         const py::gil_scoped_acquire attached;
                         const py::dict names;
                         py::steal<py::object>(PyRun_String("1", Py_eval_input, names.ptr(), names.ptr()));
                     }));
}

// https://github.com/python/cpython/issues/127266: fixed in 3.15
SCENARIO(method_replaced_beside_its_use,
         "defects",
         "T1 replaces a type's __len__ while T2 gets the length of an instance: the slot is not synchronized.",
         .defect({"write", "read"}).clean_from(0x030F0000).needs("free_threading").full_lane_only()) {
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

// https://github.com/python/cpython/issues/131680: fixed in 3.14. The races are on the key's owner and its two
// reference counts, as far as the sanitizer remembers their writers: it keeps four accesses for each word.
SCENARIO(key_inserted_beside_a_lookup,
         "defects",
         "T1 inserts a new key into a dict while T2 looks up an equal one: writes to the new object are not ordered.",
         .defects({"write", "atomic read"}).clean_from(0x030E0000).needs("free_threading").full_lane_only()) {
    const Interpreter python(context);
    constexpr long key = 1'000'000; // too large for the cache of small ints
    py::dict names;
    py::exec("numbers = {1: 0, 2: 0}", names); // no string key, and space for another key
    const py::object numbers = names["numbers"], lookup_key = py::int_(key), value = py::int_(0);
    const auto insert = [&] {
        const py::gil_scoped_acquire attached;
        const py::int_ fresh(key);
        PyObject_SetItem(numbers.ptr(), fresh.ptr(), value.ptr());
    };
    const auto look = [&] {
        const py::gil_scoped_acquire attached;
        py::steal<py::object>(PyObject_GetItem(numbers.ptr(), lookup_key.ptr()));
    };
    {
        // The first lookup by a thread that does not own the dict takes its lock, which would order the turns.
        const py::gil_scoped_release released;
        std::thread([&] {
            const py::gil_scoped_acquire attached;
            PyDict_Contains(numbers.ptr(), value.ptr());
        }).join();
    }
    take_turns_known(context, {insert, look});
}

} // namespace python_tsan
