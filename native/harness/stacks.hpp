#pragma once

/// The file that receives every thread's stack when a run hangs.

#include <string>

namespace python_tsan {

/// Descriptor of the file that PYTHON_TSAN_STACKS names, opened once for appending; -1 if the variable is not set.
int stacks_file();

/// Wrap faulthandler's handler for SIGUSR1, so that its unsynchronized reads of other threads' frames and its use of
/// errno cause no findings. Call it after each faulthandler.register.
void silence_stack_dump();

/// Write the name of a thread to the file, because faulthandler prints only identifiers. Does nothing without a file.
void note_thread(unsigned long identifier, const std::string& name);

} // namespace python_tsan
