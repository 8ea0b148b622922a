#pragma once

/// The file that receives every thread's stack when a run hangs.

#include <string>

namespace python_tsan {

/// Descriptor of the file that PYTHON_TSAN_STACKS names, opened once for appending; -1 if the variable is not set.
int stacks_file();

/// Wrap the handler that faulthandler has set for SIGUSR1, so that its unlocked look at the other threads' frames, and
/// its use of errno, do not end up as findings. Call it after each faulthandler.register.
void silence_stack_dump();

/// Note which thread has which name, as faulthandler prints only identifiers. Does nothing without a stacks file.
void note_thread(unsigned long identifier, const std::string& name);

} // namespace python_tsan
