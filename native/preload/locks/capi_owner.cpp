#include "capi_owner.hpp"

#include "../common/table.hpp"
#include "capi.hpp"
#include "threads.hpp"

#include <link.h>

namespace lock_recorder {

namespace {

// PyObjectArenaAllocator
struct Allocator {
    void* context;
    void* (*make)(void* context, std::size_t size);
    void (*release)(void* context, void* arena, std::size_t size);
};

constexpr std::uint64_t slots = 1 << 14; // arenas of a megabyte each
constexpr int shift = 20;
constexpr std::uint64_t nobody = 0;
constexpr std::uint64_t most_bytes = 16 << 20; // of one segment, that are searched for a pointer

/// By address. The owner is the GIL: interpreters that share one share their arenas, too. A row whose owner is nobody
/// was released.
struct Arena {
    std::atomic<std::uint64_t> first;
    std::uint64_t last;
    std::atomic<std::uint64_t> owner;
};
Arena arenas[slots];
Latch arenas_latch;
std::atomic<bool> are_many{false};
Allocator real{};
std::atomic<std::uint64_t> first_owner{nobody};

std::uint64_t current_owner() {
    return self.holds_gil ? self.last_gil : nobody;
}

std::uint64_t place_of(std::uint64_t megabyte) {
    return mix(megabyte, 0xa2e4) % slots;
}

void keep(std::uint64_t first, std::uint64_t size, std::uint64_t owner) {
    const Latched latched(arenas_latch);
    auto at = place_of(first >> shift);
    for (std::uint64_t tried = 0; tried < slots; ++tried, at = (at + 1) % slots) {
        auto& arena = arenas[at];
        const auto known = arena.first.load(std::memory_order_relaxed);
        if (known == 0 || known == first) {
            arena.owner.store(nobody, std::memory_order_relaxed);
            arena.last = first + size;
            arena.first.store(first, std::memory_order_release);
            arena.owner.store(owner, std::memory_order_release);
            return;
        }
    }
}

/// Who owns the arena that begins in this megabyte and contains the address.
std::uint64_t owner_in(std::uint64_t megabyte, std::uint64_t address) {
    auto at = place_of(megabyte);
    for (std::uint64_t tried = 0; tried < slots; ++tried, at = (at + 1) % slots) {
        const auto& arena = arenas[at];
        const auto first = arena.first.load(std::memory_order_acquire);
        if (first == 0) {
            return nobody;
        }
        if (first >> shift == megabyte && address >= first && address < arena.last) {
            return arena.owner.load(std::memory_order_acquire);
        }
    }
    return nobody;
}

void* make_arena(void* context, std::size_t size) {
    void* made = real.make(context, size);
    if (made != nullptr) {
        const auto owner = current_owner();
        auto known = nobody;
        keep(reinterpret_cast<std::uint64_t>(made), size, owner);
        if (owner != nobody && !first_owner.compare_exchange_strong(known, owner) && known != owner &&
            !are_many.exchange(true)) {
            capi_look_always();
        }
    }
    return made;
}

void release_arena(void* context, void* arena, std::size_t size) {
    keep(reinterpret_cast<std::uint64_t>(arena), size, nobody);
    real.release(context, arena, size);
}

/// An immortal object may be shared; the lower half of its count is negative, in each version that has them.
bool is_immortal(const void* object) {
    return *static_cast<const std::int32_t*>(object) < 0;
}

struct Search {
    std::uint64_t wanted, pc;
    std::uint64_t found; // the variable's address, 0 for none
    bool of_thread;
    std::uint64_t base;
};

std::uint64_t word_in(std::uint64_t first, std::uint64_t bytes, std::uint64_t wanted) {
    const auto* word = reinterpret_cast<const std::uint64_t*>((first + 7) & ~std::uint64_t{7});
    const auto* end = reinterpret_cast<const std::uint64_t*>(first + (bytes < most_bytes ? bytes : most_bytes));
    for (; word + 1 <= end; ++word) {
        if (__atomic_load_n(word, __ATOMIC_RELAXED) == wanted) {
            return reinterpret_cast<std::uint64_t>(word);
        }
    }
    return 0;
}

int search_object(dl_phdr_info* info, std::size_t, void* given) {
    auto& search = *static_cast<Search*>(given);
    const auto span = span_of(*info);
    if (search.pc < span.first || search.pc >= span.last) {
        return 0;
    }
    search.base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum && search.found == 0; ++i) {
        const auto& part = info->dlpi_phdr[i];
        if (part.p_type == PT_LOAD && (part.p_flags & PF_W) != 0) {
            search.found = word_in(info->dlpi_addr + part.p_vaddr, part.p_memsz, search.wanted);
        } else if (part.p_type == PT_TLS && info->dlpi_tls_data != nullptr) {
            const auto first = reinterpret_cast<std::uint64_t>(info->dlpi_tls_data);
            search.found = word_in(first, part.p_memsz, search.wanted);
            search.of_thread = search.found != 0;
            search.found -= search.of_thread ? first : 0;
        }
    }
    return 1;
}

} // namespace

void arenas_watch(const Loaded& python, std::uint32_t version) {
    const auto get = reinterpret_cast<void (*)(Allocator*)>(exported(python, "PyObject_GetArenaAllocator"));
    const auto set = reinterpret_cast<void (*)(const Allocator*)>(exported(python, "PyObject_SetArenaAllocator"));
    if (real.make != nullptr || version >> 16 < 0x030C || get == nullptr || set == nullptr) {
        return;
    }
    get(&real);
    const Allocator ours = {real.context, make_arena, release_arena};
    set(&ours);
}

bool arenas_are_many() {
    return are_many.load(std::memory_order_relaxed);
}

bool is_of_another_interpreter(const void* object) {
    const auto address = reinterpret_cast<std::uint64_t>(object);
    auto owner = owner_in(address >> shift, address);
    owner = owner == nobody ? owner_in((address >> shift) - 1, address) : owner;
    return owner != nobody && owner != current_owner() && !is_immortal(object);
}

Variable variable_of(const void* object, std::uint64_t pc) {
    Search search{reinterpret_cast<std::uint64_t>(object), pc, 0, false, 0};
    reinterpret_cast<decltype(&dl_iterate_phdr)>(libc_function("dl_iterate_phdr"))(search_object, &search);
    if (search.found == 0 && !search.of_thread) {
        return Variable{};
    }
    const auto offset = search.of_thread ? search.found : search.found - search.base;
    return Variable{intern_object(pc), offset, search.of_thread};
}

} // namespace lock_recorder
