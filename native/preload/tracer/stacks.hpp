// The Python frames of the calling thread, each stack kept once.

#pragma once

#include "format.hpp"
#include "python.hpp"

namespace gil_tracer {

/// The node of the calling thread's innermost frame; 0 when no Python code runs or there is no room for more. The
/// caller is attached. Counts what it could not keep in the header.
std::uint32_t capture_stack(Header* header, const Python& python);

/// Note where the code at `address` comes from. Any thread, attached or not.
void capture_object(Header* header, std::uint64_t address);

/// Forget what has been kept: it went into the file of the process that this one was forked from.
void forget_stacks();

} // namespace gil_tracer
