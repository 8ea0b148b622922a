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
    // The table of modules is emptied when the interpreter ends, so this is done before each start.
    if (PyImport_AppendInittab(module_name, PyInit_python_tsan_nanobind) != 0) {
        throw std::runtime_error("no place for nanobind's module");
    }
    const PyStatus status = Py_InitializeFromConfig(configuration);
    if (PyStatus_Exception(status) != 0) {
        throw std::runtime_error(std::string("CPython does not start: ") + status.err_msg);
    }
}

Embedded::~Embedded() {
    if (Py_FinalizeEx() != 0) {
        std::cerr << "CPython could not flush its output at its end\n";
    }
}

void Embedded::attach() {
    import_module(module_name);
}

} // namespace python_tsan::py
