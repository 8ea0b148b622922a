// Calls of Python's C API by other objects than libpython: each goes through a stub that looks whether the calling
// thread may make it. Which functions may be called without an attached thread state is in contract.hpp.

#pragma once

#include "threads.hpp"

namespace lock_recorder {

/// Look at the objects that are loaded now, and redirect their calls. Called again when more may have been loaded.
void capi_redirect();

/// Whether calls of this process are checked.
bool capi_checks();

/// The calling thread ends: it must hold no GIL, and must have released what it ensured.
void capi_thread_ends();

/// In a child of fork: forget the parent's file.
void capi_forget();

} // namespace lock_recorder
