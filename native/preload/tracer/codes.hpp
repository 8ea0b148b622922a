// The Python functions in the file, each stored once. Callers must exclude each other.

#pragma once

#include "format.hpp"
#include "python.hpp"

namespace gil_tracer {

/// The role of a function in finding out which module is being imported.
enum class Role : std::uint8_t { other, importlib, about_module, body };

/// A function's code object, kept alive permanently, so that its address is not reused for another function.
struct Known {
    _object* object;
    Role role;
};

/// Allocate the table for a new file, and discard the functions of the previous one. False without memory.
bool prepare_codes(Header* header);
void forget_codes();

/// The function in a row.
const Known& known_code(std::uint32_t row);

/// The row of a frame's function, through the C API; 0 if it does not fit. The caller is attached.
std::uint32_t intern_code(Header* header, const Python& python, _object* object, _frame* frame);

/// The same, read from memory. The module of a body is unknown.
std::uint32_t intern_code_by_table(Header* header, const Python& python, _object* object);

} // namespace gil_tracer
