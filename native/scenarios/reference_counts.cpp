// A reference counted without the GIL through CPython's macros, which do not check for it. Bindings do: see
// object_copied_unguarded.

#include "harness/scenario.hpp"

namespace python_tsan {

static PYTHON_TSAN_NOINLINE void count_reference(PyObject* object) {
    Py_INCREF(object);
}

// A debug build of CPython also counts all references of an interpreter. From 3.12 on that count belongs to the
// interpreter of the attached thread state, and no thread state is attached here: 3.13 and later dereference null, 3.12
// aborts with "the function must be called with the GIL held":
// https://github.com/python/cpython/blob/v3.12.11/Include/internal/pycore_pystate.h (_PyInterpreterState_GET)
// https://github.com/python/cpython/blob/v3.13.5/Objects/object.c#L270-L274
// Up to 3.11 that count is a global, and a second race. Compilers combine the read and the write of a count into one
// access, or leave two.
#if defined(Py_REF_DEBUG) && PY_VERSION_HEX >= 0x030D0000
#define PYTHON_TSAN_UNGUARDED_COUNT .crash("SEGV")
#elif defined(Py_REF_DEBUG) && PY_VERSION_HEX >= 0x030C0000
#define PYTHON_TSAN_UNGUARDED_COUNT .crash("_PyInterpreterState_GET: the function must be called with the GIL held")
#elif defined(Py_REF_DEBUG)
#define PYTHON_TSAN_UNGUARDED_COUNT .race("_Py_RefTotal", "Py_INCREF", {}).race("", "Py_INCREF", {})
#else
#define PYTHON_TSAN_UNGUARDED_COUNT .race("", "Py_INCREF", {}).clean_without_gil()
#endif

SCENARIO(reference_counted_unguarded,
         "objects",
         "Two threads call Py_INCREF on one object without the GIL.",
         PYTHON_TSAN_UNGUARDED_COUNT.twin("reference_counted_guarded")) {
    const Interpreter python(context);
    const py::object shared = py::list();
    const auto count = [&] { count_reference(shared.ptr()); };
    take_turns(context, {count, count});
    context.check("references", static_cast<long long>(Py_REFCNT(shared.ptr())), 3LL);
}

SCENARIO(reference_counted_guarded,
         "objects",
         "The same threads, each under PyGILState_Ensure: free-threaded CPython counts without a lock.",
         .clean().twin("reference_counted_unguarded")) {
    const Interpreter python(context);
    const py::object shared = py::list();
    const auto count = [&] {
        const PyGILState_STATE state = PyGILState_Ensure();
        count_reference(shared.ptr());
        PyGILState_Release(state);
    };
    take_turns(context, {count, count});
    context.check("references", static_cast<long long>(Py_REFCNT(shared.ptr())), 3LL);
}

} // namespace python_tsan
