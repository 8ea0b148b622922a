#include "harness/gil.hpp"

namespace py = pybind11;

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
    // Once per interpreter. The warning still goes to standard error, where it is kept with the other output.
    py::exec(R"(
import sys, warnings
sys.python_tsan_warnings = []
def keep(message, *rest, show=warnings.showwarning):
    sys.python_tsan_warnings.append(str(message))
    show(message, *rest)
warnings.showwarning = keep
)",
             py::dict());
#endif
}

void note_gil() {
#ifdef Py_GIL_DISABLED
    const auto sys = py::module_::import("sys");
    g_record.enabled = g_record.enabled || sys.attr("_is_gil_enabled")().cast<bool>();
    for (const auto& warning : sys.attr("python_tsan_warnings")) {
        if (g_record.enabled_by.empty()) {
            g_record.enabled_by = module_named_in(py::str(warning).cast<std::string>());
        }
    }
#endif
}

const GilRecord& gil_record() {
    return g_record;
}

} // namespace python_tsan
