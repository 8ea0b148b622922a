#include "stacks.hpp"

#include "../common/table.hpp"
#include "file.hpp"
#include "objects.hpp"

#include <dlfcn.h>
#include <initializer_list>
#include <link.h>
#include <unwind.h>

namespace lock_recorder {

Span runtime{};

namespace {

constexpr int deepest = 96;
constexpr std::uint64_t longest_hop = 4096; // bytes of one frame that are worth a look
constexpr int hops = 3;

constexpr std::size_t most_interceptors = 64;
constexpr int frames_of_runtime = 12;
constexpr int distance_bits = 16;
constexpr std::uint64_t farthest = (1U << distance_bits) - 1, longest_pc = ~std::uint64_t{0} >> distance_bits;

Table table;
Span unwinder{};

/// How far above an interceptor's call of a hook its own caller's frame is: the call's address and, in the lowest 16
/// bits, the distance.
std::atomic<std::uint64_t> interceptors[most_interceptors];

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

struct Outer {
    std::uint64_t pc; // of the interceptor's call
    std::uint64_t distance;
    std::uint64_t sp;
    bool inside;
};

_Unwind_Reason_Code visit_runtime(_Unwind_Context* context, void* data) {
    auto& outer = *static_cast<Outer*>(data);
    const auto pc = static_cast<std::uint64_t>(_Unwind_GetIP(context));
    outer.inside = outer.inside && pc != outer.pc;
    if (outer.inside || in_runtime(pc)) {
        return _URC_NO_REASON;
    }
    const auto sp = static_cast<std::uint64_t>(_Unwind_GetCFA(context));
    if (pc != 0 && sp > outer.sp && sp - outer.sp <= farthest && reinterpret_cast<const std::uint64_t*>(sp)[-1] == pc) {
        outer.distance = sp - outer.sp;
    }
    return _URC_END_OF_STACK;
}

/// Note where the object that unwinds is mapped.
int find_unwinder(dl_phdr_info* object, std::size_t, void*) {
    const auto place = reinterpret_cast<std::uint64_t>(&_Unwind_Backtrace);
    const auto span = span_of(*object);
    if (place < span.first || place >= span.last) {
        return 0;
    }
    unwinder = span;
    return 1;
}

std::uint64_t measure(const Site& site) {
    Outer outer = {site.pc, 0, site.sp, true};
    _Unwind_Backtrace(visit_runtime, &outer);
    return outer.distance;
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

void find_runtime() {
    Loaded object{};
    const void* start = dlsym(RTLD_DEFAULT, "__tsan_init");
    if (start == nullptr || !find_object(reinterpret_cast<std::uint64_t>(start), object)) {
        return;
    }
    // Clang's is a part of the program, where its functions are next to each other.
    const auto own = exported_span(object, "__tsan_"), shared = exported_span(object, "__sanitizer_"),
               hooked = exported_span(object, "pthread_"), other = exported_span(object, "__interceptor_");
    for (const auto& each : {own, shared, hooked, other}) {
        if (each.first != 0) {
            runtime.first = runtime.first == 0 || each.first < runtime.first ? each.first : runtime.first;
            runtime.last = each.last > runtime.last ? each.last : runtime.last;
        }
    }
}

bool has_shared_runtime() {
    Loaded object{};
    return runtime.last != 0 && find_object(runtime.first, object) && object.path[0] != '\0';
}

bool in_runtime(std::uint64_t pc) {
    return pc >= runtime.first && pc < runtime.last;
}

bool has_runtime() {
    return runtime.last != 0;
}

Site site_above(const Site& site) {
    if (!in_runtime(site.pc)) {
        return site;
    }
    auto& known = interceptors[mix(site.pc, 0x1c) % most_interceptors];
    auto pair = known.load(std::memory_order_relaxed);
    if (pair >> distance_bits != (site.pc & longest_pc)) {
        pair = site.pc << distance_bits | measure(site);
        known.store(pair, std::memory_order_relaxed);
    }
    const auto distance = pair & farthest;
    if (distance == 0) {
        return site;
    }
    const auto sp = site.sp + distance;
    const bool has_frame_pointer = site.fp == sp - 16;
    const auto fp = has_frame_pointer ? *reinterpret_cast<const std::uint64_t*>(site.fp) : site.fp;
    return Site{reinterpret_cast<const std::uint64_t*>(sp)[-1], sp, fp};
}

bool is_called_by(const Site& site, const char* exports) {
    Walk walk;
    walk.site = site.pc;
    walk.count = 0;
    walk.limit = frames_of_runtime;
    walk.inside = true;
    _Unwind_Backtrace(visit, &walk);
    for (int i = 0; i < walk.count; ++i) {
        Loaded object{};
        if (find_object(walk.pcs[i], object) && exported(object, exports) != nullptr) {
            return true;
        }
    }
    return false;
}

bool stacks_prepare() {
    reinterpret_cast<decltype(&dl_iterate_phdr)>(libc_function("dl_iterate_phdr"))(find_unwinder, nullptr);
    return table.prepare();
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
