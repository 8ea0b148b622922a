// The Python functions of the file, each kept once. The caller of every function excludes other callers.

#pragma once

#include "format.hpp"
#include "python.hpp"

namespace gil_tracer {

/// What a function is to someone who asks which module is being imported.
enum class Role : std::uint8_t { other, importlib, about_module, body };

/// A function's code object, kept alive for good: an address must not come to mean another function.
struct Known {
    _object* object;
    Role role;
};

/// Make room for the functions of a new file, and forget those of another. False without memory.
bool prepare_codes(Header* header);
void forget_codes();

/// What is known of the function in a row.
const Known& known_code(std::uint32_t row);

/// The row of a frame's function, by the C API; 0 where there is no room for it. The caller is attached.
std::uint32_t intern_code(Header* header, const Python& python, _object* object, _frame* frame);

/// The same, read from memory. The module of a body is not known.
std::uint32_t intern_code_by_table(Header* header, const Python& python, _object* object);

} // namespace gil_tracer
