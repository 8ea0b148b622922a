// What is loaded into this process: where code comes from, what libpython's calls go through.

#pragma once

#include "format.hpp"

namespace gil_tracer {

/// Tell whether the library or program that holds `function` calls `name` by way of a relocation, so that another
/// definition of `name` takes its place. False also where `function` cannot be found.
bool calls_can_be_seen(const void* function, const char* name);

/// Let the library or program that holds `function` call `replacement` instead of `name`. Returns what it called.
/// Null, with nothing changed, if it does not call `name` by way of a relocation.
void* redirect(const void* function, const char* name, void* replacement);

/// Return the definition of `name` that would be used if this library were not loaded; null if there is none. It is
/// looked for also in libraries that were loaded for one user only (RTLD_LOCAL).
void* find_next(const char* name);

/// Record the object that holds `address`, unless that has been done. The caller excludes other writers.
void record_object(Header* header, std::uint64_t address, std::uint32_t (*intern)(Header*, const char*));

} // namespace gil_tracer
