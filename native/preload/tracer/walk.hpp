// The Python frames of the calling thread, by the C API or from memory. The caller excludes other callers.

#pragma once

#include "nodes.hpp"

namespace gil_tracer {

/// Fill `frames`, innermost first and at most `deepest`, and return how many there are; -1 where there is no room for
/// a function. The calling thread is attached.
int walk(Header* header, const Python& python, Frame* frames);

/// As walk(), without the C API. The name of a body's module is that of the import around it.
int walk_by_table(Header* header, const Python& python, Frame* frames);

} // namespace gil_tracer
