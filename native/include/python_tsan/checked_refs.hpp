#pragma once

/// Reference counting by calls of functions, so that `python-tsan run` sees it on a release build of CPython.
///
/// Py_INCREF and Py_DECREF of a release build change the count in place, and call nothing that a recorder could look
/// at. With this header they call Py_IncRef and Py_DecRef, which do the same: the program behaves as before, and counts
/// more slowly. Include it before any header of pybind11 or nanobind, in every file of a program or module:
///
///     c++ -include python_tsan/checked_refs.hpp ...
///
/// It needs C++11 and CPython 3.9 or later. What CPython itself counts stays as it is.

#if defined(PYBIND11_VERSION_MAJOR) || defined(NB_VERSION_MAJOR)
#error "include python_tsan/checked_refs.hpp before pybind11 or nanobind, whose inline functions count references"
#endif

#include <Python.h>

namespace python_tsan {

inline PyObject* new_reference(PyObject* object) {
    Py_IncRef(object);
    return object;
}

} // namespace python_tsan

// Of an object of any type, and of a constant one, as CPython's own macros accept it.
#define PYTHON_TSAN_OBJECT(object) ((PyObject*)(object))

#undef Py_INCREF
#undef Py_DECREF
#undef Py_XINCREF
#undef Py_XDECREF
#undef Py_NewRef
#undef Py_XNewRef
#define Py_INCREF(object) Py_IncRef(PYTHON_TSAN_OBJECT(object))
#define Py_DECREF(object) Py_DecRef(PYTHON_TSAN_OBJECT(object))
#define Py_XINCREF(object) Py_IncRef(PYTHON_TSAN_OBJECT(object))
#define Py_XDECREF(object) Py_DecRef(PYTHON_TSAN_OBJECT(object))
#define Py_NewRef(object) ::python_tsan::new_reference(PYTHON_TSAN_OBJECT(object))
#define Py_XNewRef(object) ::python_tsan::new_reference(PYTHON_TSAN_OBJECT(object))
