// The Python frames of the calling thread, each stack stored once.

#pragma once

#include "format.hpp"
#include "python.hpp"

namespace gil_tracer {

/// The node of the calling thread's innermost frame; 0 if no Python code runs or the stack does not fit. The caller is
/// attached. Counts in the header what did not fit.
std::uint32_t capture_stack(Header* header, const Python& python);

/// Record the object that contains the code at `address`. Any thread, attached or not.
void capture_object(Header* header, std::uint64_t address);

/// Discard the tables: they refer to the file of the process that this one was forked from.
void forget_stacks();

} // namespace gil_tracer
