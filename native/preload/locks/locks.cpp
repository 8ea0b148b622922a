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
constexpr std::uint32_t until_end = std::uint32_t{1} << 31;
// No address of a program is that high.
constexpr std::uint64_t made_up_for_ends = std::uint64_t{3} << 61, made_up_for_files = std::uint64_t{7} << 60;
constexpr std::uint64_t made_up_for_semaphores = std::uint64_t{1} << 60;
constexpr std::uint64_t page_bits = 1 << 16;

struct Place {
    std::atomic<std::uint64_t> address;  // never cleared
    std::atomic<std::uint32_t> row;      // of the lock that is there now
    std::atomic<std::uint32_t> created;  // native stack of its initialisation, 0 if it was not seen
    std::atomic<std::uint32_t> unmarked; // its row was made when the lock itself could not be looked at
    std::atomic<std::uint32_t> owner;    // of a lock that any thread may release: the thread that holds it
};

Place* places = nullptr;
std::uint64_t used = 0;
// Whether a page may contain a lock that has a row, by hash of the page: most memory that is freed has none.
std::atomic<std::uint64_t> pages[page_bits / 64];

/// Locks of one page are next to each other in the table too, which touches fewer of its pages.
std::uint64_t hash(std::uint64_t address) {
    return mix(address >> 12, 0x10c5) >> 8 << 8 | (address >> 4 & 0xff);
}

std::atomic<std::uint64_t>& page_word(std::uint64_t page, std::uint64_t& bit) {
    const auto index = mix(page, 0x9a6e) % page_bits;
    bit = std::uint64_t{1} << (index % 64);
    return pages[index / 64];
}

/// A word of the lock itself that nobody uses. It says which row the lock has, and a new lock's initialisation, which
/// is no call, clears it: so the next lock at an address is not taken for the one before. Null for other kinds.
std::uint32_t* mark_of(std::uint64_t address, Kind kind) {
    if (kind == Kind::mutex) {
        auto& data = reinterpret_cast<pthread_mutex_t*>(address)->__data;
        constexpr int unlisted = 3 | 256 | 512; // PTHREAD_MUTEX_*_NP without those for which glibc keeps a list
        return (data.__kind & ~unlisted) == 0 ? reinterpret_cast<std::uint32_t*>(&data.__list) : nullptr;
    }
    if (kind == Kind::rwlock) {
        auto& data = reinterpret_cast<pthread_rwlock_t*>(address)->__data;
        return data.__shared == 0 ? &data.__pad3 : nullptr;
    }
    return nullptr;
}

std::uint32_t mark(std::uint32_t row) {
    return row << 1 | 1U;
}

bool is_same(std::uint64_t address, Kind kind, std::uint32_t row) {
    const auto* word = mark_of(address, kind);
    return word == nullptr || __atomic_load_n(word, __ATOMIC_RELAXED) == mark(row);
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

Lock describe(std::uint64_t address, Kind kind, Stack created, bool exists) {
    Lock lock{};
    lock.address = address;
    lock.kind = kind;
    lock.created = created;
    if (kind == Kind::thread) {
        lock.detaches = address >= made_up_for_ends ? 1 : 0;
        lock.thread =
            lock.detaches != 0 ? static_cast<std::uint32_t>(address) : thread_by_handle(address & ~handle_bits);
        return lock;
    }
    if (kind == Kind::condition) {
        lock.detaches = static_cast<std::uint8_t>(address & 1); // of Python code
    }
    if (kind == Kind::module || kind == Kind::file) {
        lock.name = static_cast<std::uint32_t>(address);
    }
    Loaded object{};
    if (find_object(address, object)) {
        lock.object = intern_object(address);
        lock.offset = address - object.base;
    }
    lock.recursive = kind == Kind::stream ? 1 : 0;
    if (kind == Kind::mutex && exists) {
        constexpr int kinds = 3; // of PTHREAD_MUTEX_*_NP
        const auto* mutex = reinterpret_cast<const pthread_mutex_t*>(address);
        lock.recursive = (mutex->__data.__kind & kinds) == PTHREAD_MUTEX_RECURSIVE_NP ? 1 : 0;
    }
    if (kind == Kind::rwlock && exists) {
        const auto* rwlock = reinterpret_cast<const pthread_rwlock_t*>(address);
        lock.waits_for_writers = rwlock->__data.__flags == PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP ? 1 : 0;
    }
    return lock;
}

void set_owner(std::uint64_t address, std::uint32_t owner) {
    auto* place = find(address);
    if (place == nullptr) {
        const Latched latched(tables);
        place = find_or_add(address);
    }
    if (place != nullptr) {
        place->owner.store(owner, std::memory_order_relaxed);
    }
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

std::uint32_t lock_now(std::uint64_t address, Kind kind) {
    const auto row = lock_at(address);
    return row != 0 && is_same(address, kind, row) ? row : 0;
}

std::uint32_t lock_make(std::uint64_t address, Kind kind, Stack first_seen, bool exists) {
    auto* place = find_or_add(address);
    const auto row = place == nullptr ? 0 : place->row.load(std::memory_order_relaxed);
    if (row != 0 && (!exists || is_same(address, kind, row))) {
        return row;
    }
    if (row != 0 && place->unmarked.exchange(0, std::memory_order_relaxed) != 0) {
        auto& lock = rows<Lock>(Part::locks)[row];
        const auto now = describe(address, kind, lock.created, true);
        lock.recursive = now.recursive;
        lock.waits_for_writers = now.waits_for_writers;
        __atomic_store_n(mark_of(address, kind), mark(row), __ATOMIC_RELAXED);
        return row;
    }
    if (row != 0) {
        place->created.store(0, std::memory_order_relaxed); // of the lock that was there before
    }
    const auto created = place == nullptr ? 0 : place->created.load(std::memory_order_relaxed);
    const auto made = add_row(place, describe(address, kind, created == 0 ? first_seen : Stack{created, 0}, exists));
    if (auto* word = exists ? mark_of(address, kind) : nullptr) {
        __atomic_store_n(word, mark(made), __ATOMIC_RELAXED);
    } else if (!exists && made != 0) {
        place->unmarked.store(1, std::memory_order_relaxed);
    }
    return made;
}

void lock_initialised(std::uint64_t address, std::uint32_t created) {
    const Latched latched(tables);
    if (auto* place = find_or_add(address)) {
        place->row.store(0, std::memory_order_release);
        place->created.store(created, std::memory_order_relaxed);
        place->unmarked.store(0, std::memory_order_relaxed);
    }
}

void lock_gone(std::uint64_t address) {
    if (auto* place = find(address)) {
        place->row.store(0, std::memory_order_release);
        place->created.store(0, std::memory_order_relaxed);
        place->unmarked.store(0, std::memory_order_relaxed);
        place->owner.store(0, std::memory_order_relaxed);
    }
}

std::uint32_t lock_owner(std::uint64_t address) {
    const auto* place = find(address);
    return place == nullptr ? 0 : place->owner.load(std::memory_order_relaxed);
}

void lock_taken(std::uint64_t address) {
    set_owner(address, self.thread);
}

void lock_ends_thread(std::uint64_t address) {
    set_owner(address, self.thread | until_end);
}

std::uint32_t thread_ended_by(std::uint64_t address) {
    const auto owner = lock_owner(address);
    return (owner & until_end) == 0 ? 0 : owner & ~until_end;
}

std::uint64_t key_of_end(std::uint32_t thread) {
    return made_up_for_ends | thread;
}

void lock_released(std::uint64_t address) {
    if (auto* place = find(address)) {
        place->owner.store(0, std::memory_order_relaxed);
    }
}

std::uint64_t module_key(std::uint64_t interpreter, std::uint32_t name) {
    return interpreter | name; // so that `describe` finds it in the lowest bits
}

std::uint64_t file_locked_by(std::uint64_t descriptor) {
    const Latched latched(tables);
    const auto path = intern_path(descriptor);
    return path == 0 ? 0 : made_up_for_files | path;
}

std::uint64_t semaphore_key(int set, unsigned short number) {
    return made_up_for_semaphores | static_cast<std::uint64_t>(static_cast<std::uint32_t>(set)) << 16 | number;
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
