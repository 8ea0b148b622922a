// The events of the calling thread: it releases the GIL, it acquires it.

#pragma once

#include "format.hpp"

namespace gil_tracer {

/// Prepare to record, before the first event. `sees_all`: events without an interceptable call are seen too.
void start_recording(bool sees_all);

/// The calling thread is about to release the GIL, or did so at the time `at`. `with_stack`: it is attached, so that
/// its frames can be read.
void note_release(GilCall call, const void* site, bool with_stack, std::uint64_t at = 0);

/// The calling thread has acquired the GIL; it has waited for it since `requested`.
void note_acquired(GilCall call, std::uint64_t requested);

/// Discard what threads have recorded, in a child of fork.
void forget_recording();

} // namespace gil_tracer
