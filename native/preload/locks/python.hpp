// The Python of this process: which frames the calling thread runs, read from memory. Nothing is called that could
// take a lock, and no reference is taken: the caller holds the GIL.

#pragma once

#include "objects.hpp"

namespace lock_recorder {

/// The addresses of libpython, both 0 before it is found.
extern std::uint64_t python_first, python_last;

/// An object exports Python's functions.
void python_found(const Loaded& object);

/// The row of the calling thread's Python frames, 0 for none. It holds the GIL, and callers exclude each other.
std::uint32_t intern_python_stack();

/// A number that differs between two Python stacks, as a rule. The caller holds the GIL.
std::uint64_t python_stack_key();

void python_forget();

} // namespace lock_recorder
