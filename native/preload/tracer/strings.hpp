// The strings of the file, each kept once. The caller of every function excludes other callers.

#pragma once

#include "format.hpp"
#include "python.hpp"

namespace gil_tracer {

/// Make room for the strings of a new file, and forget those of another.
void prepare_strings(Header* header);
void forget_strings();

/// The row of a text; 0 where there is no room for it.
std::uint32_t intern_string(Header* header, const char* text);

/// The row of the text of a str, by the C API; drops the reference to it. The caller is attached.
std::uint32_t intern_object(Header* header, const Python& python, _object* object);

/// The row of the text of a str that is borrowed, read from memory where its form is known.
std::uint32_t intern_text(Header* header, const Python& python, _object* string);

} // namespace gil_tracer
