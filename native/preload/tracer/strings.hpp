// The strings in the file, each stored once. Callers must exclude each other.

#pragma once

#include "format.hpp"
#include "python.hpp"

namespace gil_tracer {

/// Allocate the table for a new file, and discard the strings of the previous one.
void prepare_strings();
void forget_strings();

/// The row of a text; 0 if it does not fit.
std::uint32_t intern_string(Header* header, const char* text);

/// The row of the text of a str, through the C API; drops the reference to it. The caller is attached.
std::uint32_t intern_object(Header* header, const Python& python, _object* object);

/// The row of the text of a borrowed str, read from memory if its layout is known.
std::uint32_t intern_text(Header* header, const Python& python, _object* string);

} // namespace gil_tracer
