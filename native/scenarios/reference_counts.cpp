// A reference counted without the GIL, by CPython's own macros, where no binding looks: see object_copied_unguarded for
// those that do.

#include "harness/scenario.hpp"

namespace python_tsan {

static PYTHON_TSAN_NOINLINE void count_reference(PyObject* object) {
    Py_INCREF(object);
}

// A debug build of CPython counts all references of an interpreter besides, and from 3.12 on looks for it in the thread
// state that is attached: there is none. Up to 3.11 that number is a global of its own, and a second race. Compilers
// put the read and the write of a count into one access, or leave two.
#if defined(Py_REF_DEBUG) && PY_VERSION_HEX >= 0x030C0000
#define PYTHON_TSAN_UNGUARDED_COUNT .crash("SEGV")
#elif defined(Py_REF_DEBUG)
#define PYTHON_TSAN_UNGUARDED_COUNT .race("_Py_RefTotal", "Py_INCREF", {}).race("", "Py_INCREF", {})
#else
#define PYTHON_TSAN_UNGUARDED_COUNT .race("", "Py_INCREF", {}).clean_without_gil()
#endif

SCENARIO(reference_counted_unguarded,
         "objects",
         "Two threads count a reference of one object without the GIL, by Py_INCREF.",
         PYTHON_TSAN_UNGUARDED_COUNT.twin("reference_counted_guarded")) {
    const Interpreter python(context);
    const py::object shared = py::list();
    const auto count = [&] { count_reference(shared.ptr()); };
    take_turns(context, {count, count});
    context.check("references", static_cast<long long>(Py_REFCNT(shared.ptr())), 3LL);
}

SCENARIO(reference_counted_guarded,
         "objects",
         "The same threads, each under PyGILState_Ensure: free-threaded CPython counts so that it needs no lock.",
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
