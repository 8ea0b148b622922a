#include "locks.hpp"

#include "../common/table.hpp"
#include "file.hpp"
#include "objects.hpp"
#include "threads.hpp"

#include <pthread.h>

namespace lock_recorder {

namespace {

constexpr std::uint64_t capacity = 1 << 18;
constexpr std::uint64_t fullest = capacity / 4 * 3;
// A pthread_t is the address of a structure with this alignment at least.
constexpr std::uint64_t handle_bits = 7, to_thread = 1, to_join = 2;
constexpr std::uint64_t page_bits = 1 << 16;

struct Place {
    std::atomic<std::uint64_t> address; // never cleared
    std::atomic<std::uint32_t> row;     // of the lock that is there now
    std::atomic<std::uint32_t> created; // native stack of its initialisation, 0 if it was not seen
};

Place* places = nullptr;
std::uint64_t used = 0;
// Whether a page may contain a lock that has a row, by hash of the page: most memory that is freed has none.
std::atomic<std::uint64_t> pages[page_bits / 64];

std::uint64_t hash(std::uint64_t address) {
    return mix(address, 0x10c5) >> 8;
}

std::atomic<std::uint64_t>& page_word(std::uint64_t page, std::uint64_t& bit) {
    const auto index = mix(page, 0x9a6e) % page_bits;
    bit = std::uint64_t{1} << (index % 64);
    return pages[index / 64];
}

Place* find(std::uint64_t address) {
    for (auto at = hash(address) % capacity;; at = (at + 1) % capacity) {
        const auto there = places[at].address.load(std::memory_order_acquire);
        if (there == address) {
            return &places[at];
        }
        if (there == 0) {
            return nullptr;
        }
    }
}

Place* find_or_add(std::uint64_t address) {
    if (auto* known = find(address)) {
        return known;
    }
    if (used >= fullest) {
        return nullptr;
    }
    auto at = hash(address) % capacity;
    while (places[at].address.load(std::memory_order_relaxed) != 0) {
        at = (at + 1) % capacity;
    }
    ++used;
    places[at].address.store(address, std::memory_order_release);
    std::uint64_t bit = 0;
    auto& word = page_word(address >> 12, bit);
    word.fetch_or(bit, std::memory_order_relaxed);
    return &places[at];
}

std::uint32_t add_row(Place* place, const Lock& lock) {
    const auto row = place == nullptr ? 0 : append(Part::locks, lock);
    if (row == 0) {
        count_lost(Lost::locks);
        return 0;
    }
    place->row.store(row, std::memory_order_release);
    return row;
}

Lock describe(std::uint64_t address, Kind kind, Stack created) {
    Lock lock{};
    lock.address = address;
    lock.kind = kind;
    lock.created = created;
    if (kind == Kind::thread) {
        lock.thread = thread_by_handle(address & ~handle_bits);
        return lock;
    }
    Loaded object{};
    if (find_object(address, object)) {
        lock.object = intern_object(address);
        lock.offset = address - object.base;
    }
    if (kind == Kind::mutex) {
        constexpr int kinds = 3; // of PTHREAD_MUTEX_*_NP
        const auto* mutex = reinterpret_cast<const pthread_mutex_t*>(address);
        lock.recursive = (mutex->__data.__kind & kinds) == PTHREAD_MUTEX_RECURSIVE_NP ? 1 : 0;
    }
    return lock;
}

} // namespace

bool locks_prepare() {
    places = static_cast<Place*>(raw_memory(capacity * sizeof *places));
    used = 0;
    return places != nullptr;
}

void locks_forget() {
    if (places != nullptr) {
        raw_release(places, capacity * sizeof *places);
        places = nullptr;
    }
    for (auto& each : pages) {
        each.store(0, std::memory_order_relaxed);
    }
}

std::uint32_t lock_at(std::uint64_t address) {
    const auto* place = find(address);
    return place == nullptr ? 0 : place->row.load(std::memory_order_acquire);
}

std::uint32_t lock_make(std::uint64_t address, Kind kind, Stack first_seen) {
    auto* place = find_or_add(address);
    const auto row = place == nullptr ? 0 : place->row.load(std::memory_order_relaxed);
    if (row != 0) {
        return row;
    }
    const auto created = place == nullptr ? 0 : place->created.load(std::memory_order_relaxed);
    return add_row(place, describe(address, kind, created == 0 ? first_seen : Stack{created, 0}));
}

void lock_initialised(std::uint64_t address, std::uint32_t created) {
    const Latched latched(tables);
    if (auto* place = find_or_add(address)) {
        place->row.store(0, std::memory_order_release);
        place->created.store(created, std::memory_order_relaxed);
    }
}

void lock_gone(std::uint64_t address) {
    if (auto* place = find(address)) {
        place->row.store(0, std::memory_order_release);
        place->created.store(0, std::memory_order_relaxed);
    }
}

bool may_have_locks(std::uint64_t address) {
    std::uint64_t bit = 0;
    return (page_word(address >> 12, bit).load(std::memory_order_relaxed) & bit) != 0;
}

void locks_gone(std::uint64_t first, std::uint64_t last) {
    for (auto address = (first + 7) & ~std::uint64_t{7}; address < last; address += 8) {
        lock_gone(address);
    }
}

std::uint64_t key_of_thread(std::uint64_t handle) {
    return handle | to_join;
}

std::uint32_t thread_by_handle(std::uint64_t handle) {
    return lock_at(handle | to_thread);
}

void thread_has_handle(std::uint64_t handle, std::uint32_t row) {
    if (auto* place = find_or_add(handle | to_thread)) {
        if (place->row.exchange(row, std::memory_order_acq_rel) != row) {
            lock_gone(handle | to_join); // of the thread that had the handle before
        }
    }
}

void lock_is_gil(std::uint64_t address) {
    const auto row = lock_make(address, Kind::gil, Stack{});
    if (row != 0) {
        rows<Lock>(Part::locks)[row].kind = Kind::gil;
    }
}

} // namespace lock_recorder
