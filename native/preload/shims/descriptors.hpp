// What the shims of descriptors, signals and notifications need of each other.
#pragma once

namespace python_tsan::shims {

/// A thread has taken a signal: it sees what was done before the signal was sent. Nothing for a number out of range.
void after_signal(int number);

/// The token of a message queue: who receives from it sees what was done before something was sent. Null when there are
/// too many.
void* queue_token(int queue);

} // namespace python_tsan::shims
