// What the companion shows of Python. Without an interpreter's headers, it shows nothing.
#pragma once

#include "buffer.hpp"

namespace python_tsan::companion {

/// Finds the process's interpreter, and answers SIGUSR1 with every Python thread's stack, in the file that
/// PYTHON_TSAN_STACKS names, unless the program has another use for the signal. Once, before any thread exists.
void begin_python();

/// Writes the Python frames of the calling thread, and whether it is attached to an interpreter that is known here.
/// For the report hook: asks neither the dynamic linker nor the heap.
void write_own_frames(Line& line);

} // namespace python_tsan::companion
