// The loaded programs and libraries, found without the dynamic linker's lock: a thread that holds it may be waiting
// for a lock of the program.

#pragma once

#include "format.hpp"

struct dl_phdr_info;

namespace lock_recorder {

struct Loaded {
    std::uint64_t base;
    std::uint64_t first;
    std::uint64_t last;
    const char* path;
    const void* dynamic;
};

/// The object that contains an address. False if no object does.
bool find_object(std::uint64_t address, Loaded& found);

/// The address of what the object exports under this name, or null; with `function`, of nothing but a function.
void* exported(const Loaded& object, const char* name, bool function = false);

/// The C library's own function of this name, below any that a sanitizer defines in its place; or null.
void* libc_function(const char* name);

struct Span {
    std::uint64_t first;
    std::uint64_t last;
};

/// The addresses that an object's parts and what is between them have.
Span span_of(const dl_phdr_info& object);

/// The addresses of the functions that the object exports under names with this beginning, and of all between them.
Span exported_span(const Loaded& object, const char* beginning);

/// The row of the object that contains an address, 0 for none. Callers exclude each other.
std::uint32_t intern_object(std::uint64_t address);

void objects_forget();

} // namespace lock_recorder
