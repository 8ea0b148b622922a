#include "threads.hpp"

#include "capi.hpp"
#include "file.hpp"
#include "gil.hpp"
#include "locks.hpp"
#include "objects.hpp"
#include "python.hpp"
#include "record.hpp"

#include <pthread.h>
#include <sys/prctl.h>

extern "C" void* __libc_stack_end;

namespace lock_recorder {

__thread Self self;
bool sees_runtime = true;
Latch tables;

namespace {

constexpr std::uint32_t most_living = 4096;
constexpr int late = 3; // of the rounds in which a thread's values are destroyed

std::atomic<bool> prepared{false};
std::uint32_t process = 1;
std::uint32_t free_live[most_living]; // a stack of those that are free again
std::uint32_t free_count = 0;
std::uint64_t* caches = nullptr;
Held inheritance[most_held]; // what the thread that forks holds
std::uint32_t inherited = 0;
pthread_key_t at_end;
bool has_key = false;

void ending(void* rounds) {
    const auto round = reinterpret_cast<std::uintptr_t>(rounds);
    if (round < late) { // after the program's own values, whose destructors may lock
        pthread_setspecific(at_end, reinterpret_cast<void*>(round + 1));
        return;
    }
    threads_end();
}

/// A place for what a thread holds; null if there are too many threads. Callers exclude each other.
Live* take_live() {
    if (free_count > 0) {
        return rows<Live>(Part::live) + free_live[--free_count];
    }
    auto* place = static_cast<Live*>(file_claim(Part::live, sizeof(Live)));
    if (place == nullptr || static_cast<std::uint32_t>(place - rows<Live>(Part::live)) >= most_living) {
        return nullptr;
    }
    file_publish(Part::live, sizeof(Live));
    return place;
}

void attach_live(Live* live, std::uint32_t row) {
    auto* cache = caches + static_cast<std::uint64_t>(live - rows<Live>(Part::live)) * cache_slots;
    for (std::uint32_t i = 0; i < cache_slots; ++i) {
        cache[i] = 0;
    }
    auto& thread = rows<Thread>(Part::threads)[row];
    thread.handle = static_cast<std::uint64_t>(pthread_self());
    thread_has_handle(thread.handle, row);
    thread.tid = raw_thread_id();
    raw_call(SYS_prctl, PR_GET_NAME, as_long(thread.name));
    live->thread = row;
    live->held_count = 0;
    live->wanted = live->since = 0;
    live->events = 0;
    live->used.store(1, std::memory_order_release);
    self.cache = cache;
    self.thread = row;
    self.tail = thread.tail;
    self.stale = true;
    self.process = process;
    self.refused = false;
    has_gil(false);
    self.gil = self.suspect = self.last_mutex = self.last_gil = self.gil_key = 0;
    self.waits_for_gil = self.takes_gil = false;
    self.way.count = 0;
    self.native_held = 0;
    self.live = live;
}

void note_end(std::uint64_t rounds) {
    if (has_key) {
        pthread_setspecific(at_end, reinterpret_cast<void*>(rounds));
    }
}

bool prepare() {
    caches = static_cast<std::uint64_t*>(raw_memory(std::uint64_t{most_living} * cache_slots * sizeof *caches));
    return caches != nullptr && file_make() && stacks_prepare() && locks_prepare() && record_prepare();
}

/// The thread that runs first, before it has created any, or one whose creation was not seen.
bool enter_unseen() {
    const Latched latched(tables);
    const auto row = append(Part::threads, Thread{});
    auto* live = row == 0 ? nullptr : take_live();
    if (live == nullptr) {
        count_lost(Lost::threads);
        return false;
    }
    attach_live(live, row);
    return true;
}

} // namespace

bool threads_prepare() {
    if (prepared.load(std::memory_order_acquire)) {
        return header != nullptr;
    }
    const Latched latched(tables);
    if (!prepared.load(std::memory_order_relaxed)) {
        if (!prepare() && header != nullptr) {
            file_forget();
        }
        prepared.store(true, std::memory_order_release);
    }
    if (header != nullptr && !sees_runtime) {
        header->flags.fetch_or(hides_once);
    }
    return header != nullptr;
}

bool threads_enter(const Site& site) {
    if (self.live != nullptr && self.process == process) {
        return true;
    }
    if ((self.refused && self.process == process) || !threads_prepare()) {
        return false;
    }
    self.process = process;
    self.refused = true;
    if (!has_key) {
        has_key = pthread_key_create(&at_end, ending) == 0;
    }
    const bool main = raw_thread_id() == header->pid;
    const auto end = reinterpret_cast<std::uint64_t>(__libc_stack_end);
    self.top = main && site.sp < end ? end : 0;
    if (!enter_unseen()) {
        return false;
    }
    note_end(1);
    return true;
}

std::uint32_t threads_created(const Site& site) {
    const Latched latched(tables);
    const Stack created = {intern_native_stack(site, 32), self.holds_gil ? intern_python_stack() : 0};
    Thread thread{};
    thread.parent = self.thread;
    thread.created = created;
    thread.tail = self.tail;
    const auto row = append(Part::threads, thread);
    if (row == 0) {
        count_lost(Lost::threads);
    }
    self.stale = true;
    return row;
}

void threads_begin(std::uint32_t row, std::uint64_t top) {
    const bool before = self.busy;
    self.busy = true;
    self.process = process;
    self.refused = true;
    self.top = top;
    if (row != 0) {
        Live* live = nullptr;
        {
            const Latched latched(tables);
            live = take_live();
            if (live == nullptr) {
                count_lost(Lost::threads);
            } else {
                attach_live(live, row);
            }
        }
        if (live != nullptr) {
            note_end(1);
        }
    }
    self.busy = before;
}

void threads_handle(std::uint32_t row, std::uint64_t handle) {
    if (row != 0) {
        const Latched latched(tables);
        rows<Thread>(Part::threads)[row].handle = handle;
        thread_has_handle(handle, row);
    }
}

void threads_end() {
    if (self.live == nullptr || self.process != process) {
        return;
    }
    capi_thread_ends();
    const auto last_way = way_context();
    const Latched latched(tables);
    auto& thread = rows<Thread>(Part::threads)[self.thread];
    thread.last_way = last_way;
    thread.last_way_known = way_is_whole() ? 1 : 0;
    raw_call(SYS_prctl, PR_GET_NAME, as_long(thread.name));
    thread.tail = self.tail;
    thread.ended = 1;
    header->events.fetch_add(self.live->events, std::memory_order_relaxed);
    self.live->used.store(0, std::memory_order_release);
    free_live[free_count++] = static_cast<std::uint32_t>(self.live - rows<Live>(Part::live));
    self.live = nullptr;
    self.refused = true;
}

void threads_joined(std::uint32_t row) {
    const Latched latched(tables);
    auto& thread = rows<Thread>(Part::threads)[row];
    if (thread_by_handle(thread.handle) == row) { // it may be another thread's by now
        thread_has_handle(thread.handle, 0);
    }
    const bool recorded = thread.tail != 0 && rows<Segment>(Part::segments)[thread.tail].thread == row;
    if (!recorded && thread.parent == self.thread) {
        return; // it did nothing that could be ordered
    }
    const auto segment = append(Part::segments, Segment{self.thread, self.tail, thread.tail, 0});
    if (segment == 0) {
        count_lost(Lost::segments);
        return;
    }
    self.tail = segment;
    self.stale = false;
    rows<Thread>(Part::threads)[self.thread].tail = segment;
}

std::uint32_t threads_segment() {
    if (self.stale) {
        const auto segment = append(Part::segments, Segment{self.thread, self.tail, 0, 0});
        if (segment == 0) {
            count_lost(Lost::segments);
            return self.tail;
        }
        self.tail = segment;
        self.stale = false;
        rows<Thread>(Part::threads)[self.thread].tail = segment;
    }
    return self.tail;
}

void threads_fork() {
    self.busy = true;
    tables.lock();
    inherited = self.live == nullptr ? 0 : self.live->held_count;
    if (inherited > 0) { // the child shares the file, in which the parent goes on
        copy_bytes(inheritance, self.live->held, inherited * sizeof *inheritance);
    }
}

void threads_went_on() {
    tables.unlock();
    self.busy = false;
}

void threads_forked() {
    const bool was_known = self.live != nullptr;
    tables.unlock();
    ++process;
    free_count = 0;
    if (caches != nullptr) {
        raw_release(caches, std::uint64_t{most_living} * cache_slots * sizeof *caches);
    }
    file_forget();
    stacks_forget();
    locks_forget();
    record_forget();
    objects_forget();
    python_forget();
    capi_forget();
    self.live = nullptr;
    self.gil = self.suspect = self.last_gil = 0;
    has_gil(false); // Python makes its GIL again and takes it
    prepared.store(false);
    if (!was_known || !threads_prepare()) {
        self.busy = false;
        return;
    }
    gils_again();
    self.refused = true;
    self.process = process;
    for (std::uint32_t i = 0; i < inherited; ++i) {
        if (inheritance[i].kind != Kind::gil && !is_of_python_code(inheritance[i].kind)) { // Python makes its own again
            header->flags.fetch_or(forked);
        }
    }
    if (enter_unseen()) {
        for (std::uint32_t i = 0; i < inherited; ++i) {
            if (inheritance[i].kind != Kind::gil) {
                auto& mine = self.live->held[self.live->held_count++];
                mine = inheritance[i];
                mine.lock = mine.context = 0;
                mine.inherited = 1;
                mine.taken = Stack{};
                self.native_held += is_of_python_code(mine.kind) ? 0 : 1;
            }
        }
    }
    self.busy = false;
}

} // namespace lock_recorder
