// The Python side of the companion. Without an interpreter's headers, it does nothing.
#pragma once

#include "buffer.hpp"

namespace python_tsan::companion {

/// Finds the process's interpreter, and on SIGUSR1 writes every Python thread's stack to the file PYTHON_TSAN_STACKS,
/// unless the program handles that signal. Called once, before any thread exists.
void begin_python();

/// Writes the Python frames of the calling thread, and whether it is attached to a supported interpreter. For the
/// report hook: uses neither the dynamic linker nor the heap.
void write_own_frames(Line& line);

} // namespace python_tsan::companion
