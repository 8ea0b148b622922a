#pragma once

/// Whether a GIL is there: by the build, and in fact. An import of a module that does not say that it can do without
/// brings the GIL of a free-threaded build back for good, and what is seen from then on says nothing of free threading.

#include <Python.h>
#include <string>

namespace python_tsan {

#ifdef Py_GIL_DISABLED
inline constexpr bool built_with_gil = false;
#else
inline constexpr bool built_with_gil = true;
#endif

/// What the process has seen of the GIL, over all interpreters that it started. `enabled_by` is the name of the module
/// whose import brought it back, empty for none.
struct GilRecord {
    bool enabled = built_with_gil;
    std::string enabled_by;
};

/// Begin to keep CPython's warning of a GIL that comes back. Call it once the interpreter runs, with the GIL held.
void watch_gil();

/// Note how things stand. Call it with the GIL held, last before the interpreter ends.
void note_gil();

/// What has been noted so far.
const GilRecord& gil_record();

} // namespace python_tsan
