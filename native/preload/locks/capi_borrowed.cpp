#include "capi_borrowed.hpp"

#include "../common/table.hpp"
#include "file.hpp"
#include "objects.hpp"
#include "threads.hpp"

#include <array>
#include <sys/uio.h>
#include <utility>

namespace lock_recorder {

namespace {

// These return a borrowed reference; each has at most three arguments.
constexpr std::array names = {"PyDict_GetItem",    "PyDict_GetItemString", "PyDict_GetItemWithError",
                              "PyDict_SetDefault", "PyList_GetItem",       "PyWeakref_GetObject"};
using Getter = void* (*)(void*, void*, void*);
Getter getters[names.size()];

constexpr std::size_t most_kept = 4;
constexpr std::uint16_t most_calls = 256; // for which a reference is followed once the GIL was released
// While a reference is followed, each call is looked at: of one place, so many are followed, and then one in so many.
constexpr std::uint32_t often = 64;
std::atomic<std::uint32_t> borrowed_at[4096]; // how often, by the place of the call

struct Kept {
    const void* object;
    std::uint64_t pc, sp;
    std::uint32_t getter;
    std::uint32_t detachments; // of the thread, by when it borrowed
    std::uint16_t calls;       // since the release, 0 before it
};
[[gnu::tls_model("initial-exec")]] __thread Kept all_kept[most_kept]; // self.kept of them, the latest last

/// The beginning of an object of a free-threaded build.
struct Counts {
    std::uint64_t thread;
    std::uint32_t flags;
    std::uint32_t own;      // of that thread
    std::int64_t of_others; // shifted by two bits
};

/// Reads an object that another thread may free at the same time.
bool read_carefully(const void* object, Counts& counts) {
    iovec to = {&counts, sizeof counts}, from = {const_cast<void*>(object), sizeof counts};
    return raw_call(SYS_process_vm_readv, raw_call(SYS_getpid), as_long(&to), 1, as_long(&from), 1, 0) ==
           static_cast<long>(sizeof counts);
}

/// Whether there is one reference, which the container has. An immortal object has many.
bool has_one_reference(const void* object) {
    if ((header->flags.load(std::memory_order_relaxed) & free_threaded) == 0) {
        return __atomic_load_n(static_cast<const std::uint32_t*>(object), __ATOMIC_RELAXED) == 1;
    }
    Counts counts{};
    return read_carefully(object, counts) && counts.own + (counts.of_others >> 2) == 1;
}

void forget(std::size_t at) {
    --self.kept;
    for (; at < self.kept; ++at) {
        all_kept[at] = all_kept[at + 1];
    }
    self.passes = self.holds_gil && self.kept == 0;
}

bool is_followed(std::uint64_t pc) {
    auto& count = borrowed_at[mix(pc, 0xb0) % (sizeof borrowed_at / sizeof *borrowed_at)];
    const auto before = count.load(std::memory_order_relaxed);
    count.store(before + 1, std::memory_order_relaxed);
    return before < often || before % often == 0;
}

void follow(std::uint32_t getter, const void* object, std::uint64_t pc, std::uint64_t sp) {
    for (std::size_t at = 0; at < self.kept; ++at) {
        if (all_kept[at].object == object) {
            forget(at); // it has it again
            break;
        }
    }
    if (object == nullptr || !self.holds_gil || self.live == nullptr || !has_one_reference(object) ||
        !is_followed(pc)) {
        return;
    }
    if (self.kept == most_kept) {
        forget(0);
    }
    all_kept[self.kept++] = Kept{object, pc, sp, getter, self.detachments, 0};
    self.passes = false;
}

template <std::size_t at>
void* borrow(void* container, void* second, void* third) {
    void* object = getters[at](container, second, third);
    follow(at, object, reinterpret_cast<std::uint64_t>(__builtin_return_address(0)),
           reinterpret_cast<std::uint64_t>(__builtin_dwarf_cfa()));
    return object;
}

template <std::size_t... at>
constexpr std::array<Getter, sizeof...(at)> all_of(std::index_sequence<at...>) {
    return {borrow<at>...};
}
constexpr auto borrowers = all_of(std::make_index_sequence<names.size()>{});

/// Whether the reference is still followed after a call, before the GIL was released.
bool stays_borrowed(Kept& kept, Effect effect) {
    if (effect == Effect::detaches) {
        kept.calls = 1;
        return kept.detachments == self.detachments && has_one_reference(kept.object);
    }
    return effect == Effect::reads;
}

} // namespace

void* borrowing(const char* name, void* target) {
    for (std::size_t at = 0; at < names.size(); ++at) {
        if (same_text(names[at], name)) {
            getters[at] = reinterpret_cast<Getter>(target);
            return reinterpret_cast<void*>(borrowers[at]);
        }
    }
    return target;
}

Borrow kept_over_release(Effect effect, const Site& site, std::uint64_t argument) {
    Borrow found = {};
    for (std::size_t at = self.kept; at-- > 0;) {
        auto& kept = all_kept[at];
        const bool returned = site.sp > kept.sp; // from the function that borrowed it
        bool stays = !returned && (kept.calls > 0 || stays_borrowed(kept, effect));
        if (stays && kept.calls > 0 && effect != Effect::detaches && self.holds_gil) {
            const bool passed = argument == reinterpret_cast<std::uint64_t>(kept.object);
            if (passed && effect != Effect::counts && kept.detachments != self.detachments &&
                has_one_reference(kept.object)) {
                found = Borrow{names[kept.getter], kept.pc};
            }
            stays = !passed && kept.detachments != self.detachments && ++kept.calls < most_calls;
        }
        if (!stays) {
            forget(at);
        }
    }
    return found;
}

} // namespace lock_recorder
