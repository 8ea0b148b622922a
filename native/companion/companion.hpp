// What the parts of the companion share.
#pragma once

namespace python_tsan::companion {

/// Where the companion writes; empty outside of a run. Set before any thread exists and never changed.
extern char folder[4096];
constexpr const char kFolderVariable[] = "PYTHON_TSAN_COMPANION";

} // namespace python_tsan::companion
