#include "nodes.hpp"

#include "../common/table.hpp"
#include "spool.hpp"

namespace gil_tracer {

namespace {

/// The previous stack and its nodes, outermost first: most of the next one is usually equal.
struct Recent {
    Frame frames[deepest];
    std::uint32_t nodes[deepest];
    int count;
};

preload::Table table;
Recent recent;

std::uint32_t intern_node(Header* header, const Python& python, std::uint32_t parent, const Frame& frame) {
    const auto* nodes = rows<Node>(header, header->nodes);
    const auto place = static_cast<std::uint64_t>(frame.code) << 32 | static_cast<std::uint32_t>(frame.offset);
    const auto hash = preload::mix(preload::mix(preload::mix(0, parent), place), frame.module);
    const auto matches = [&](std::uint32_t row) {
        const auto& node = nodes[row];
        return node.parent == parent && node.code == frame.code && node.offset == frame.offset &&
               node.module == frame.module;
    };
    return table.find_or_make(hash, matches, [&] {
        const auto line = python.code_line(frame.object, frame.offset);
        return append(header, header->nodes, Node{parent, frame.code, frame.offset, line, frame.module});
    });
}

} // namespace

void prepare_nodes() {
    table.prepare();
}

void forget_nodes() {
    table.release();
    recent.count = 0;
}

std::uint32_t intern_stack(Header* header, const Python& python, const Frame* frames, int count) {
    std::uint32_t node = 0;
    bool same = true;
    for (int depth = 0; depth < count; ++depth) {
        const auto& frame = frames[count - 1 - depth];
        same = same && depth < recent.count && frame == recent.frames[depth];
        node = same ? recent.nodes[depth] : intern_node(header, python, node, frame);
        if (node == 0) {
            recent.count = depth;
            return 0;
        }
        if (!same) {
            recent.frames[depth] = frame;
            recent.nodes[depth] = node;
        }
    }
    recent.count = count;
    return node;
}

} // namespace gil_tracer
