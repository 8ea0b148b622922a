#pragma once

/// nanobind, under the names that harness and scenarios use for a binding; see pybind11/binding.hpp.

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

/// The embedded CPython. nanobind is for extension modules and cannot initialize or finalize an interpreter, so
/// CPython's API does; and nanobind's internals are created with a module, so there must be one.
class Embedded {
public:
    /// Throws std::runtime_error when CPython cannot be initialized.
    explicit Embedded(PyConfig* configuration);
    /// nanobind reports its objects that are still alive then, on standard error.
    ~Embedded();
    Embedded(const Embedded&) = delete;
    Embedded& operator=(const Embedded&) = delete;

    /// Import the module. Before that, only nanobind's GIL guards may be used.
    void attach();
};

} // namespace python_tsan::py
