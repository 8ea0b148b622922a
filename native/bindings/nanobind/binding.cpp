#include "binding.hpp"

#include <iostream>
#include <stdexcept>

namespace python_tsan::py {

namespace {

constexpr const char* module_name = "python_tsan_nanobind";

NB_MODULE(python_tsan_nanobind, module) {
    module.doc() = "What nanobind needs to be there; scenarios bind what they need themselves.";
}

} // namespace

Embedded::Embedded(PyConfig* configuration) {
    // Finalization clears the table of built-in modules, so this is done before each initialization.
    if (PyImport_AppendInittab(module_name, PyInit_python_tsan_nanobind) != 0) {
        throw std::runtime_error("nanobind's module could not be added to the table of built-in modules");
    }
    const PyStatus status = Py_InitializeFromConfig(configuration);
    if (PyStatus_Exception(status) != 0) {
        throw std::runtime_error(std::string("CPython could not be initialized: ") + status.err_msg);
    }
}

Embedded::~Embedded() {
    if (Py_FinalizeEx() != 0) {
        std::cerr << "CPython could not flush its output during finalization\n";
    }
}

void Embedded::attach() {
    import_module(module_name);
}

} // namespace python_tsan::py
