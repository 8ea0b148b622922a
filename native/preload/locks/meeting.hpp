// A directed run: a thread that comes to its second lock waits there until the other threads of a cycle are at theirs,
// so that a deadlock that can happen does. Each wait has an end; the cycle comes from the environment.

#pragma once

#include "record.hpp"

namespace lock_recorder {

/// Whether there is a cycle. Set before any thread exists.
extern bool meets;

void meeting_prepare();

/// The calling thread is about to request a lock: it waits if that is a place of the cycle. Returns whether it did.
bool meet(const What& what, const Site& site);

/// It makes a call that may release the GIL and request it again, and is not recorded meanwhile. If that is a place of
/// the cycle, it does so here.
void meet_in_call(const Site& site);

} // namespace lock_recorder
