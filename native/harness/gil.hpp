#pragma once

/// Whether there is a GIL: by the build, and at run time. In a free-threaded build, the import of a module that does
/// not declare Py_MOD_GIL_NOT_USED enables the GIL permanently, and later observations say nothing about free
/// threading.

#include <Python.h>
#include <string>

namespace python_tsan {

#ifdef Py_GIL_DISABLED
inline constexpr bool built_with_gil = false;
#else
inline constexpr bool built_with_gil = true;
#endif

/// The state of the GIL in this process, over all its interpreters. `enabled_by` is the name of the module whose import
/// enabled it, empty for none.
struct GilRecord {
    bool enabled = built_with_gil;
    std::string enabled_by;
};

/// Start to record CPython's warning that the GIL was enabled. Call it after initialization, with the GIL held.
void watch_gil();

/// Record the current state. Call it with the GIL held, just before finalization.
void note_gil();

/// The state recorded so far.
const GilRecord& gil_record();

} // namespace python_tsan
