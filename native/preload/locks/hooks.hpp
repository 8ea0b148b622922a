// What every hook does around its recording.

#pragma once

#include "stacks.hpp"

namespace lock_recorder {

/// Whether to record; the thread is then busy until `leave`: what it calls meanwhile is not recorded.
bool enter(const Site& site);
/// After the next definition has returned.
bool enter_again();
void leave();

/// What is called in place of a function of CPython's that is about a lock of native code; `target` for any other.
void* locking(const char* name, void* target);

} // namespace lock_recorder
