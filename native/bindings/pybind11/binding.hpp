#pragma once

/// pybind11, under the names by which harness and scenarios call a binding. Every folder beside this one has the same
/// names for another one: what both call alike is used as it is, and what they do not is spelled here.

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

/// The embedded CPython as this binding starts and ends it, both on the thread that has the object.
class Embedded {
public:
    explicit Embedded(PyConfig* configuration) : python_(configuration, 0, nullptr, false) {}

    /// Make ready what the binding keeps in the interpreter; pybind11 does so when it first needs it.
    void attach() {}

private:
    scoped_interpreter python_;
};

} // namespace python_tsan::py
