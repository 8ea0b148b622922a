// The Python of this process: which frames the calling thread runs, read from memory. Nothing is called that could
// take a lock, and no reference is taken: the caller holds the GIL.

#pragma once

#include "objects.hpp"

namespace lock_recorder {

/// The addresses of libpython, both 0 before it is found.
extern std::uint64_t python_first, python_last;

/// An object exports Python's functions.
void python_found(const Loaded& object);

/// What a function of the standard library does with a lock: importlib with its own lock of a module, threading (up to
/// 3.12) with the one that a thread holds until its end, concurrent.futures with those of any number of futures, which
/// it takes in one order.
enum class FrameRole : std::uint8_t { none, acquires_module, releases_module, begins_thread, takes_all };

/// The innermost Python frame of the calling thread.
struct PythonCaller {
    FrameRole role;
    void* first_argument;
    std::uint64_t instruction;
};
PythonCaller python_frame();

/// The text of a str, "?" if it is not ASCII.
std::uint32_t python_text(const void* string);
bool python_text_is(const void* string, const char* text);

/// The interpreter of the calling thread's attached thread state, 0 without one. From 3.12 on.
std::uint64_t python_interpreter();
/// The interpreter of a thread state; the main one's without one.
std::uint64_t python_interpreter_of(std::uint64_t state);

/// The row of the calling thread's Python frames, 0 for none. It holds the GIL, and callers exclude each other.
std::uint32_t intern_python_stack();

/// A number that differs between two Python stacks, as a rule. The caller holds the GIL.
std::uint64_t python_stack_key();

void python_forget();

} // namespace lock_recorder
