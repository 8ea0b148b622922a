#pragma once

/// nanobind, under the names by which harness and scenarios call a binding; see pybind11/binding.hpp.

#include <nanobind/eval.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/string.h>

namespace python_tsan::py {

using namespace nanobind;

using error_already_set = python_error;

inline module_ import_module(const char* name) {
    return module_::import_(name);
}

/// The embedded CPython. nanobind is made for extension modules and has nothing that starts or ends an interpreter, so
/// that is done by CPython's own API; and what it keeps in the interpreter comes with a module, so there has to be one.
class Embedded {
public:
    /// Throws std::runtime_error when CPython does not start.
    explicit Embedded(PyConfig* configuration);
    /// Objects of nanobind's that are still alive then are reported by it, on standard error.
    ~Embedded();
    Embedded(const Embedded&) = delete;
    Embedded& operator=(const Embedded&) = delete;

    /// Import the module. Before it, none of nanobind's names but the guards of the GIL may be used.
    void attach();
};

} // namespace python_tsan::py
