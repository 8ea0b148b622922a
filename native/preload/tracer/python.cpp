#include "python.hpp"

#include "objects.hpp"

#include <cstdlib>

namespace gil_tracer {

namespace {

template <typename Function>
bool find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(find_next(name));
    return function != nullptr;
}

} // namespace

Python traced;

bool Python::load() {
    find(frame_variable, "PyFrame_GetVarString");
    if (const auto* number = static_cast<const unsigned long*>(find_next("Py_Version"))) {
        version = static_cast<std::uint32_t>(*number);
    }
    free_threaded = find_next("PyUnstable_Module_SetGIL") != nullptr; // exported by free-threaded builds only
    // Tests use the C API, to compare the two.
    const bool use_table = free_threaded || std::getenv("PYTHON_TSAN_GIL_FRAMES_BY_API") == nullptr;
    has_table = use_table && table.load(find_next("_PyRuntime"), version);
    return find(thread_state, "PyThreadState_Get") && find(top_frame, "PyThreadState_GetFrame") &&
           find(frame_back, "PyFrame_GetBack") && find(frame_code, "PyFrame_GetCode") &&
           find(frame_offset, "PyFrame_GetLasti") && find(frame_globals, "PyFrame_GetGlobals") &&
           find(frame_locals, "PyFrame_GetLocals") && find(code_line, "PyCode_Addr2Line") &&
           find(attribute, "PyObject_GetAttrString") && find(item, "PyMapping_GetItemString") &&
           find(utf8, "PyUnicode_AsUTF8AndSize") && find(as_long, "PyLong_AsLong") && find(increment, "Py_IncRef") &&
           find(decrement, "Py_DecRef") && find(collector_on, "PyGC_Enable") && find(collector_off, "PyGC_Disable") &&
           find(error_fetch, "PyErr_Fetch") && find(error_restore, "PyErr_Restore");
}

} // namespace gil_tracer
