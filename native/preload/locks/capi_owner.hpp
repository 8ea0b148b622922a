// What an address belongs to: which interpreter's memory an object is in, and which variable refers to it.
//
// An interpreter with a GIL of its own has arenas of its own (since 3.12), for which CPython asks an allocator that can
// be replaced (PyObject_SetArenaAllocator). An object in another memory, such as a large one, belongs to nobody here.

#pragma once

#include "format.hpp"
#include "objects.hpp"

namespace lock_recorder {

/// Note from now on whose each new arena is. Called once; it does nothing before 3.12.
void arenas_watch(const Loaded& python, std::uint32_t version);

/// Whether there are arenas of more than one interpreter.
bool arenas_are_many();

/// Whether the object is known to belong to another interpreter than the calling thread's state.
bool is_of_another_interpreter(const void* object);

/// The variable with static or thread storage that refers to the object, in the loaded object that contains `pc`.
struct Variable {
    std::uint32_t object; // a row
    std::uint64_t offset; // in it, or in the thread's part of it
    bool of_thread;
};
Variable variable_of(const void* object, std::uint64_t pc);

} // namespace lock_recorder
