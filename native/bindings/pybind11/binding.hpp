#pragma once

/// pybind11, under the names that harness and scenarios use for a binding. Each sibling folder defines the same names
/// for another binding: common names are used as they are, and different ones are mapped here.

#include <pybind11/embed.h>

namespace python_tsan::py {

using namespace pybind11;

inline module_ import_module(const char* name) {
    return module_::import(name);
}

template <typename T>
T steal(PyObject* object) {
    return reinterpret_steal<T>(object);
}

/// The embedded CPython, initialized and finalized by this binding, both on the thread that owns the object.
class Embedded {
public:
    explicit Embedded(PyConfig* configuration) : python_(configuration, 0, nullptr, false) {}

    /// Create the binding's internals in the interpreter. pybind11 does so on first use, and looks at them without the
    /// GIL: a thread whose first act is a guard would race with the thread that creates them.
    void attach() { detail::get_internals(); }

private:
    scoped_interpreter python_;
};

} // namespace python_tsan::py
