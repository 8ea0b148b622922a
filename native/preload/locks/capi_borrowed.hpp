// Borrowed references that a thread keeps while it is detached, so that another thread can drop the object meanwhile.
//
// Py_INCREF calls nothing in a release build, so this looks at the object's count: 1 means that the container has the
// only reference. A reference is followed from the call that borrowed it, past calls that only read, to the release of
// the GIL; any other call ends that, for it may have removed the object from its container. If the function that
// borrowed it then passes the object to the C API again, it kept the reference.

#pragma once

#include "stacks.hpp"

namespace lock_recorder {

/// What a call means for the references that are followed.
enum class Effect : std::uint8_t { changes, reads, counts, detaches };

/// What to call in place of a function: one that follows what it returns, if that is a borrowed reference.
void* borrowing(const char* name, void* target);

/// The call that borrowed a reference.
struct Borrow {
    const char* function; // null for none
    std::uint64_t pc;
};

/// The calling thread, which keeps references, makes a call: the one that it kept wrongly and now passes as `argument`.
Borrow kept_over_release(Effect effect, const Site& site, std::uint64_t argument);

} // namespace lock_recorder
