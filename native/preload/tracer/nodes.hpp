// The stacks in the file, as nodes that refer to their callers, so that equal stacks are stored once. Callers must
// exclude each other.

#pragma once

#include "format.hpp"
#include "python.hpp"

namespace gil_tracer {

constexpr int deepest = 512; // frames; the outermost frames of a deeper stack are omitted

struct Frame {
    std::uint32_t code;
    std::int32_t offset;
    std::uint32_t module;
    _object* object; // of the code, kept alive by the code table

    bool operator==(const Frame& other) const {
        return code == other.code && offset == other.offset && module == other.module;
    }
};

/// Allocate the table for a new file, and discard the stacks of the previous one.
void prepare_nodes();
void forget_nodes();

/// The node of `count` frames, innermost first; 0 if it does not fit.
std::uint32_t intern_stack(Header* header, const Python& python, const Frame* frames, int count);

} // namespace gil_tracer
