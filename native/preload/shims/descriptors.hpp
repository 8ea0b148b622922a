// What the shims of descriptors need of those of signals.
#pragma once

namespace python_tsan::shims {

/// A thread has taken a signal: it sees what was done before the signal was sent. Nothing for a number out of range.
void after_signal(int number);

} // namespace python_tsan::shims
