// The objects loaded into this process: which one code belongs to, and the slots that libpython's calls use.

#pragma once

#include "format.hpp"

namespace gil_tracer {

/// Return whether the library or program that contains `function` calls `name` through a relocation, so that another
/// definition of `name` can replace it. False also if `function` is not found.
bool calls_can_be_seen(const void* function, const char* name);

/// Make the library or program that contains `function` call `replacement` instead of `name`. Returns the previous
/// function; null, with nothing changed, if it does not call `name` through a relocation.
void* redirect(const void* function, const char* name, void* replacement);

/// Return the definition of `name` that would be used if this library were not loaded, or null. Libraries that were
/// loaded with RTLD_LOCAL are searched too.
void* find_next(const char* name);

/// Record the object that contains `address`, unless it is recorded. Callers must exclude each other.
void record_object(Header* header, std::uint64_t address, std::uint32_t (*intern)(Header*, const char*));

} // namespace gil_tracer
