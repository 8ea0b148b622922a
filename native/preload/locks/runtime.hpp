// Functions that a sanitizer's runtime implements itself, so that no call of them arrives below it: pthread_once and
// the guards of static variables. Their first instructions are replaced by a jump to a hook.

#pragma once

namespace lock_recorder {

/// Redirect those of the runtime in this process, if there is one. Before any thread exists. False if one cannot be:
/// it does not begin as expected, or the kernel forbids changes of code.
bool redirect_runtime();

} // namespace lock_recorder
