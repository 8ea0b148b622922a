// The Python frames of the calling thread, through the C API or from memory. Callers must exclude each other.

#pragma once

#include "nodes.hpp"

namespace gil_tracer {

/// Fill `frames`, innermost first and at most `deepest`, and return their number; -1 if a function does not fit. The
/// calling thread is attached.
int walk(Header* header, const Python& python, Frame* frames);

/// As walk(), without the C API. The name of a body's module is that of the import around it.
int walk_by_table(Header* header, const Python& python, Frame* frames);

} // namespace gil_tracer
