#include "stacks.hpp"

#include "file.hpp"
#include "objects.hpp"

#include <unwind.h>

namespace lock_recorder {

namespace {

constexpr int deepest = 96;
constexpr std::uint64_t longest_hop = 4096; // bytes of one frame that are worth a look
constexpr int hops = 3;

Table table;
Loaded unwinder{};

struct Walk {
    std::uint64_t pcs[deepest];
    std::uint64_t site;
    int count;
    int limit;
    bool inside; // still in this library's own frames
};

_Unwind_Reason_Code visit(_Unwind_Context* context, void* data) {
    auto& walk = *static_cast<Walk*>(data);
    const auto pc = static_cast<std::uint64_t>(_Unwind_GetIP(context));
    if (pc == 0) {
        return _URC_END_OF_STACK;
    }
    walk.inside = walk.inside && pc != walk.site;
    if (!walk.inside) {
        walk.pcs[walk.count++] = pc;
    }
    return walk.count < walk.limit ? _URC_NO_REASON : _URC_END_OF_STACK;
}

std::uint32_t intern_row(const Frame& frame) {
    const auto hash = mix(mix(frame.parent, frame.object), frame.offset);
    const auto* known = rows<Frame>(Part::frames);
    return table.find_or_make(
        hash,
        [&](std::uint32_t row) {
            return known[row].parent == frame.parent && known[row].object == frame.object &&
                   known[row].offset == frame.offset;
        },
        [&] { return append(Part::frames, frame); });
}

std::uint32_t intern_pc(std::uint32_t parent, std::uint64_t pc) {
    const auto object = intern_object(pc);
    const auto base = object == 0 ? 0 : rows<Object>(Part::objects)[object].base;
    return intern_row(Frame{parent, object, pc - base});
}

} // namespace

bool stacks_prepare() {
    find_object(reinterpret_cast<std::uint64_t>(&_Unwind_Backtrace), unwinder);
    return table.reserve(1 << 19);
}

void stacks_forget() {
    table.release();
}

std::uint32_t intern_native_stack(const Site& site, int limit) {
    Walk walk;
    walk.site = site.pc;
    walk.count = 0;
    walk.limit = limit < deepest ? limit : deepest;
    walk.inside = true;
    _Unwind_Backtrace(visit, &walk);
    if (walk.count == 0) {
        return intern_call_site(site.pc);
    }
    std::uint32_t row = 0;
    for (int i = walk.count - 1; i >= 0; --i) {
        const auto next = intern_pc(row, walk.pcs[i]);
        if (next == 0) {
            count_lost(Lost::stacks);
            return row;
        }
        row = next;
    }
    return row;
}

std::uint32_t intern_call_site(std::uint64_t pc) {
    return intern_pc(0, pc);
}

std::uint64_t stack_key(const Site& site, std::uint64_t top) {
    auto key = mix(site.pc, site.sp);
    auto frame = site.fp, below = site.sp;
    for (int hop = 0; hop < hops; ++hop) {
        if (frame < below || frame - below > longest_hop || frame % 8 != 0 || frame + 16 > top) {
            break; // no frame pointer
        }
        const auto* words = reinterpret_cast<const std::uint64_t*>(frame);
        key = mix(key, words[1]);
        below = frame;
        frame = words[0];
    }
    return key;
}

bool in_unwinder(std::uint64_t pc) {
    return pc >= unwinder.first && pc < unwinder.last;
}

} // namespace lock_recorder
