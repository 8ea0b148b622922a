// The stacks of the file, equal ones kept once, as nodes inside their callers. The caller excludes other callers.

#pragma once

#include "format.hpp"
#include "python.hpp"

namespace gil_tracer {

constexpr int deepest = 512; // frames; of a deeper stack the outermost are left out

struct Frame {
    std::uint32_t code;
    std::int32_t offset;
    std::uint32_t module;
    _object* object; // of the code, kept alive by the code table

    bool operator==(const Frame& other) const {
        return code == other.code && offset == other.offset && module == other.module;
    }
};

/// Make room for the stacks of a new file, and forget those of another.
void prepare_nodes(Header* header);
void forget_nodes();

/// The node of `count` frames, of which the innermost comes first; 0 if there is no room for it.
std::uint32_t intern_stack(Header* header, const Python& python, const Frame* frames, int count);

} // namespace gil_tracer
