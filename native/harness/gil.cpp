#include "harness/gil.hpp"

#include <binding.hpp>

#include <stdexcept>

namespace python_tsan {

namespace {

GilRecord g_record;

/// The name in "The global interpreter lock (GIL) has been enabled to load module 'NAME', which has not declared …".
[[maybe_unused]] std::string module_named_in(const std::string& warning) {
    constexpr std::string_view before = "has been enabled to load module '";
    const auto start = warning.find(before);
    if (start == std::string::npos) {
        return "";
    }
    const auto name = start + before.size();
    return warning.substr(name, warning.find('\'', name) - name);
}

} // namespace

void watch_gil() {
#ifdef Py_GIL_DISABLED
    // Once per interpreter, and through CPython's API: a binding may enable the GIL as soon as it is loaded. The
    // warning still goes to standard error with the other output.
    constexpr const char* source = R"(
import sys, warnings
sys.python_tsan_warnings = []
def keep(message, *rest, show=warnings.showwarning):
    sys.python_tsan_warnings.append(str(message))
    show(message, *rest)
warnings.showwarning = keep
)";
    PyObject* names = PyDict_New();
    PyObject* result = names == nullptr ? nullptr : PyRun_String(source, Py_file_input, names, names);
    const bool watched = result != nullptr;
    Py_XDECREF(result);
    Py_XDECREF(names);
    if (!watched) {
        throw std::runtime_error("CPython's warnings cannot be recorded");
    }
#endif
}

void note_gil() {
#ifdef Py_GIL_DISABLED
    const auto sys = py::import_module("sys");
    g_record.enabled = g_record.enabled || py::cast<bool>(sys.attr("_is_gil_enabled")());
    for (const auto& warning : sys.attr("python_tsan_warnings")) {
        if (g_record.enabled_by.empty()) {
            g_record.enabled_by = module_named_in(py::cast<std::string>(warning));
        }
    }
#endif
}

const GilRecord& gil_record() {
    return g_record;
}

} // namespace python_tsan
