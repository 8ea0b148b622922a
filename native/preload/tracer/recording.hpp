// The events of the calling thread: it lets go of the GIL, it has it again.

#pragma once

#include "format.hpp"

namespace gil_tracer {

/// Make ready to record, before the first event. `sees_all`: also what is no call that can be seen.
void start_recording(bool sees_all);

/// The calling thread is about to let go, or did so at the time `at`. `with_stack`: it is attached, so that its frames
/// can be read.
void note_release(Way way, const void* site, bool with_stack, std::uint64_t at = 0);

/// The calling thread holds the GIL again, or for the first time; it has wanted it since `requested`.
void note_acquired(Way way, std::uint64_t requested);

/// Forget what threads have recorded, in a child of fork.
void forget_recording();

} // namespace gil_tracer
