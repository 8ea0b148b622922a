// Calls of Python's C API by other objects than libpython: each goes through a stub that looks whether the calling
// thread may make it. Which functions may be called without an attached thread state is in contract.hpp.

#pragma once

#include "threads.hpp"

namespace lock_recorder {

/// Look at the objects that are loaded now, and redirect their calls. Called again when more may have been loaded.
void capi_redirect();

/// Whether calls of this process are checked.
bool capi_checks();

/// Note in the file, once it exists, what of this process cannot be checked.
void capi_note_gaps();

/// The calling thread ends: it must hold no GIL, and must have released what it ensured.
void capi_thread_ends();

/// In a child of fork: forget the parent's file.
void capi_forget();

/// A GIL was recognised: Python is initialized.
void capi_gil_known();

/// From now on each call is looked at, also by a thread that holds the GIL.
void capi_look_always();

/// What a rule was broken by: the function, the row of its caller's stack, the thread's row.
struct Misused {
    Rule rule;
    const char* function;
    std::uint32_t native;
    std::uint32_t thread;
    const void* object = nullptr; // the first argument, where a variable may refer to it
    std::uint64_t pc = 0;         // of the call
    const char* last = nullptr;   // what the thread did before; null for what it last did with its thread state
    std::uint64_t last_place = 0; // a return address
};
void record_misuse(const Misused& misused);

} // namespace lock_recorder
