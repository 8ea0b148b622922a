// What threads have made or taken of Python's, and must delete, end or release again before Python is finalized.

#pragma once

#include "format.hpp"

namespace lock_recorder {

/// A thread state or an interpreter was made by the call that returns to `place`.
void state_made(const void* state, std::uint64_t place);
void state_deleted(const void* state);
void interpreter_made(const void* state, std::uint64_t place);
/// An interpreter ends, with the thread state in which it was made or another of its own.
void interpreter_ended(const void* state);

/// The calling thread is inside PyGILState_Ensure from now on, which returns to `place`; 0: no more.
void inside(std::uint64_t place);

/// Python is about to be finalized by the calling thread: report what is left.
void report_undone();

/// Forget all: Python is finalized, or this is the child of a fork.
void forget_undone();

} // namespace lock_recorder
