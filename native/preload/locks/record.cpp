#include "record.hpp"

#include "../common/table.hpp"
#include "file.hpp"
#include "locks.hpp"
#include "meeting.hpp"
#include "python.hpp"

#include <pthread.h>

namespace lock_recorder {

std::atomic<std::uint32_t> gil_waiters{0};

namespace {

constexpr int frames_of_request = 64;
constexpr int frames_of_holder = 16;
constexpr int most_stacks_of_a_site = 1000; // a thread that recurses has endlessly many
constexpr std::uint64_t site_slots = 4096;
constexpr std::uint64_t shortest_moment = 20'000; // nanoseconds

Table requests, contexts, wakes, waits;
std::atomic<std::uint16_t> stacks_of_site[site_slots];

enum Salt : std::uint64_t { salt_stack = 1, salt_python, salt_context, salt_request, salt_wake };

/// A result that the calling thread found before, by a hash of all that it depends on; 0 for none.
struct Remembered {
    std::uint64_t* slot;
    std::uint64_t tag;

    explicit Remembered(std::uint64_t hash)
        : slot(self.cache + (hash ^ hash >> 21) % cache_slots), tag(hash & ~std::uint64_t{0xffffffff}) {}
    std::uint32_t row() const {
        return (*slot & ~std::uint64_t{0xffffffff}) == tag ? static_cast<std::uint32_t>(*slot) : 0;
    }
    std::uint32_t keep(std::uint32_t row) const {
        *slot = tag | row;
        return row;
    }
};

bool worth_a_stack(std::uint64_t pc) {
    auto& count = stacks_of_site[mix(pc, 0x57ac) % site_slots];
    const auto before = count.load(std::memory_order_relaxed);
    if (before >= most_stacks_of_a_site) {
        return false;
    }
    count.store(static_cast<std::uint16_t>(before + 1), std::memory_order_relaxed);
    return true;
}

} // namespace

std::uint32_t native_stack(const Site& site) {
    const Remembered stack(mix(stack_key(site, self.top), salt_stack));
    if (const auto known = stack.row()) {
        return known;
    }
    const bool whole = worth_a_stack(site.pc) && !in_unwinder(site.pc);
    const Latched latched(tables);
    return stack.keep(whole ? intern_native_stack(site, frames_of_holder) : intern_call_site(site.pc));
}

namespace {

std::uint32_t python_stack() {
    if (!self.holds_gil && !self.attached) {
        return 0;
    }
    const Remembered stack(mix(python_stack_key(), salt_python));
    if (const auto known = stack.row()) {
        return known;
    }
    const Latched latched(tables);
    return stack.keep(intern_python_stack());
}

/// The same for the GIL, which a thread mostly takes again where it took it before.
std::uint32_t gil_stack(const Site& site) {
    const auto key = stack_key(site, self.top);
    if (key != self.gil_key || self.gil_stack == 0) {
        self.gil_key = key;
        self.gil_stack = native_stack(site);
    }
    return self.gil_stack;
}

/// The Python frames show where a lock of Python code is taken, unless native code has taken one further out.
Stack stack_of(const What& what, const Site& site) {
    const bool only_python = is_of_python_code(what.kind) && self.native_held == 0;
    if (only_python && what.kind == Kind::module) {
        return Stack{}; // whose name says where
    }
    return Stack{only_python ? 0 : native_stack(site), python_stack()};
}

/// Whether it is held no longer although no release was seen: another thread unlocked the mutex, or an exception left
/// the routine of pthread_once.
bool is_stale(const Held& held) {
    if (held.kind == Kind::file) { // closed, or unlocked by another descriptor
        return file_locked_by(held.descriptor) != held.address;
    }
    if (held.kind == Kind::once) {
        // kGuardRunning of the sanitizer, __PTHREAD_ONCE_INPROGRESS of glibc
        const int in_progress = has_runtime() ? 1 << 16 : 1;
        return (__atomic_load_n(reinterpret_cast<const int*>(held.address), __ATOMIC_RELAXED) & in_progress) == 0;
    }
    if (has_owner(held.kind) && held.inherited == 0) {
        return lock_owner(held.address) != self.thread;
    }
    if (held.kind != Kind::mutex || held.inherited != 0) {
        return false;
    }
    const auto* mutex = reinterpret_cast<const pthread_mutex_t*>(held.address);
    const auto owner = __atomic_load_n(&mutex->__data.__owner, __ATOMIC_RELAXED);
    return owner != static_cast<int>(rows<Thread>(Part::threads)[self.thread].tid);
}

void remove(std::uint32_t index) {
    auto* live = self.live;
    if (live->held[index].kind == Kind::gil) {
        has_gil(false);
    } else if (!is_of_python_code(live->held[index].kind)) {
        --self.native_held;
    }
    for (auto i = index + 1; i < live->held_count; ++i) {
        live->held[i - 1] = live->held[i];
        live->held[i - 1].context = 0; // what is below it has changed
    }
    --live->held_count;
}

void drop_stale() {
    for (std::uint32_t i = self.live->held_count; i-- > 0;) {
        if (is_stale(self.live->held[i])) {
            remove(i);
        }
    }
}

/// What distinguishes the places where a lock is taken: the Python frames of a native one do not.
std::uint64_t place_of(Stack taken) {
    return taken.native != 0 ? taken.native : std::uint64_t{taken.python} << 32;
}

std::uint32_t intern_context(const HeldLocks& context) {
    const auto hash =
        mix(mix(mix(context.parent, context.lock), place_of(context.taken)), static_cast<std::uint64_t>(context.mode));
    const auto* known = rows<HeldLocks>(Part::contexts);
    return contexts.find_or_make(
        hash,
        [&](std::uint32_t row) {
            const auto& one = known[row];
            return one.parent == context.parent && one.lock == context.lock &&
                   place_of(one.taken) == place_of(context.taken) && one.mode == context.mode;
        },
        [&] { return append(Part::contexts, context); });
}

/// `exists`: it is held now, so that its memory can be looked at.
std::uint32_t context_of(std::uint32_t parent, Held& held, bool exists) {
    held.lock = exists ? lock_now(held.address, held.kind) : lock_at(held.address);
    const auto hash = mix(mix(mix(parent, held.lock), place_of(held.taken)), static_cast<std::uint64_t>(held.mode));
    const Remembered context(mix(hash, salt_context));
    if (const auto known = held.lock == 0 ? 0 : context.row()) {
        return known;
    }
    const Latched latched(tables);
    held.lock = lock_make(held.address, held.kind, held.taken, exists);
    const auto made = intern_context(HeldLocks{parent, held.lock, held.taken, held.mode, {}});
    return held.lock == 0 ? 0 : context.keep(made);
}

/// The row of all that the thread holds; 0 if nothing.
std::uint32_t context() {
    std::uint32_t row = 0;
    auto* live = self.live;
    for (std::uint32_t i = 0; i < live->held_count; ++i) {
        auto& held = live->held[i];
        if (held.context == 0) {
            held.context = context_of(row, held, true);
        }
        row = held.context == 0 ? row : held.context;
    }
    return row;
}

std::uint32_t make_request(const Request& wanted, Kind kind, const Site& site) {
    const auto hash = mix(mix(mix(wanted.segment, wanted.context), mix(wanted.lock, wanted.site)),
                          static_cast<std::uint64_t>(wanted.mode) + 2 * wanted.weak);
    const auto* known = rows<Request>(Part::requests);
    const auto row = requests.find_or_make(
        hash,
        [&](std::uint32_t at) {
            const auto& one = known[at];
            return one.thread == wanted.thread && one.segment == wanted.segment && one.context == wanted.context &&
                   one.lock == wanted.lock && one.site == wanted.site && one.mode == wanted.mode &&
                   one.weak == wanted.weak;
        },
        [&] {
            auto request = wanted;
            const bool alone = in_unwinder(site.pc);
            if (!is_of_python_code(kind) || self.native_held > 0) {
                request.stack.native = alone ? intern_call_site(site.pc) : intern_native_stack(site, frames_of_request);
            }
            request.stack.python = self.holds_gil || self.attached ? intern_python_stack() : 0;
            return append(Part::requests, request);
        });
    if (row == 0) {
        count_lost(Lost::requests);
    }
    return row;
}

/// Where a lock was seen that has no row yet. One of Python code is called by its line there.
Stack first_seen(const What& what, const Site& site) {
    const bool by_python = what.kind == Kind::python || (what.kind == Kind::condition && (what.address & 1) != 0);
    return by_python ? Stack{0, intern_python_stack()} : Stack{intern_call_site(site.pc), 0};
}

/// What distinguishes the places of requests. The call alone does not: all requests for a GIL are made by one function,
/// and so are those of a program that has a lock function of its own.
std::uint64_t where_asked(const What& what, const Site& site) {
    return is_of_python_code(what.kind) && self.native_held == 0 ? site.key() : native_stack(site);
}

std::uint32_t record_request(const What& what, const Site& site, bool weak = false) {
    if (only_waits) {
        return 0;
    }
    const auto held = context();
    const auto lock = lock_now(what.address, what.kind);
    const auto how = static_cast<std::uint64_t>(what.mode) + (weak ? 2 : 0);
    const auto at = where_asked(what, site);
    const auto key = mix(mix(mix(self.tail, held), mix(lock, at)), how);
    const Remembered request(mix(key, salt_request));
    auto row = lock == 0 || self.stale ? 0 : request.row();
    if (row == 0) {
        const Latched latched(tables);
        Request wanted{};
        wanted.thread = self.thread;
        wanted.segment = threads_segment();
        wanted.context = held;
        wanted.lock = lock_make(what.address, what.kind, first_seen(what, site));
        wanted.site = at;
        wanted.mode = what.mode;
        wanted.timed = what.timed ? 1 : 0;
        wanted.weak = weak ? 1 : 0;
        row = wanted.lock == 0 ? 0 : make_request(wanted, what.kind, site);
        if (row != 0 && lock != 0) {
            const auto again = mix(mix(mix(self.tail, held), mix(lock, at)), how);
            Remembered(mix(again, salt_request)).keep(row);
        }
    }
    if (row != 0) {
        ++rows<Request>(Part::requests)[row].count;
    }
    return row;
}

} // namespace

bool record_prepare() {
    return requests.prepare() && contexts.prepare() && wakes.prepare() && waits.prepare();
}

void record_forget() {
    requests.release();
    contexts.release();
    wakes.release();
    waits.release();
    for (auto& each : stacks_of_site) {
        each.store(0, std::memory_order_relaxed);
    }
    gil_waiters.store(0);
}

Held* held_at(std::uint64_t address) {
    auto* live = self.live;
    for (std::uint32_t i = live->held_count; i-- > 0;) {
        if (live->held[i].address == address) {
            return &live->held[i];
        }
    }
    return nullptr;
}

namespace {

/// Whether such a lock can close a cycle with what the thread holds.
bool is_worth_a_request(Kind kind) {
    if (self.native_held > 0) {
        return true;
    }
    if (kind != Kind::import && kind != Kind::module) {
        return kind != Kind::gil; // which CPython releases before it waits for a lock of Python code
    }
    const auto* live = self.live;
    for (std::uint32_t i = 0; i < live->held_count; ++i) {
        if (live->held[i].kind == Kind::python) {
            return true;
        }
    }
    return false; // an import in another one's body, of which there are hundreds
}

} // namespace

void request(const What& what, const Site& site, bool blocks, bool again) {
    auto* live = self.live;
    ++live->events;
    blocks = (meets && !again && meet(what, site)) || blocks;
    if (live->held_count > 0 && !again) {
        drop_stale();
        if (live->held_count > 0 && is_worth_a_request(what.kind)) {
            record_request(what, site);
        }
    }
    if (self.native_held == 0 && what.kind == Kind::gil && !self.asked_for_gil) {
        self.asked_for_gil = true; // a thread that joins this one with the GIL held would wait for it
        record_request(what, site);
    }
    if (!blocks && what.kind == Kind::gil) {
        return; // it is taken at once
    }
    live->kind = what.kind;
    live->mode = what.mode;
    live->callee = what.callee;
    live->site = site.pc;
    live->stack = blocks ? stack_of(what, site) : Stack{};
    __atomic_store_n(&live->wanted, what.address, __ATOMIC_RELEASE);
}

void tried(const What& what, const Site& site) {
    const auto since = self.live->events - (what.timed ? 1 : 0);
    if (self.tried == what.address && self.tried_at == site.key() && self.tried_events == since) {
        drop_stale();
        if (self.live->held_count > 0 && held_at(what.address) == nullptr && is_worth_a_request(what.kind)) {
            if (const auto row = record_request(what, site)) {
                rows<Request>(Part::requests)[row].timed = 0;
            }
        }
    }
    self.tried = what.address;
    self.tried_at = site.key();
    self.tried_events = self.live->events;
}

void may_request_gil(std::uint64_t gil, const Site& site) {
    drop_stale();
    if (self.native_held > 0 && held_at(gil) != nullptr) {
        record_request(What{gil, Kind::gil, Mode::write, Callee::gil, false}, site, true);
    }
}

void requested() {
    __atomic_store_n(&self.live->wanted, 0, __ATOMIC_RELEASE);
}

void acquired(const What& what, const Site& site) {
    auto* live = self.live;
    if (live->held_count == most_held) {
        count_lost(Lost::held);
        return;
    }
    auto& held = live->held[live->held_count];
    held.address = what.address;
    held.descriptor = self.descriptor;
    held.taken = what.kind == Kind::gil ? Stack{gil_stack(site), 0} : stack_of(what, site);
    held.lock = held.context = 0;
    held.depth = 1;
    held.kind = what.kind;
    held.mode = what.mode;
    held.inherited = 0;
    ++live->held_count;
    if (what.kind == Kind::gil) {
        has_gil(true);
    } else {
        self.native_held += is_of_python_code(what.kind) ? 0 : 1;
        if (has_owner(what.kind)) {
            lock_taken(what.address);
        }
    }
    auto& way = self.way;
    for (std::uint32_t i = 0; i < way.count; ++i) {
        if (way.taken[i].address == held.address) {
            return;
        }
    }
    if (way.count < most_on_the_way) {
        way.taken[way.count++] = held;
    }
}

void acquired_again(const What& what, const Site& site) {
    if (auto* held = held_at(what.address)) {
        ++held->depth;
    } else {
        acquired(what, site);
    }
}

bool released(std::uint64_t address) {
    auto* held = held_at(address);
    if (held == nullptr) {
        return false;
    }
    if (held->depth > 1) {
        --held->depth;
    } else {
        if (has_owner(held->kind)) {
            lock_released(address);
        }
        remove(static_cast<std::uint32_t>(held - self.live->held));
    }
    return true;
}

std::uint32_t way_context() {
    auto& way = self.way;
    std::uint32_t on_the_way = 0;
    for (std::uint32_t i = 0; i < way.count; ++i) {
        const auto row = context_of(on_the_way, way.taken[i], false);
        on_the_way = row == 0 ? on_the_way : row;
    }
    return on_the_way;
}

bool way_is_whole() {
    return self.way.count < most_on_the_way;
}

void wake(std::uint64_t address, Kind kind, const Site& site) {
    if (only_waits) {
        return;
    }
    const auto on_the_way = way_context();
    const auto lock = lock_at(address);
    const auto key = mix(mix(mix(self.tail, on_the_way), mix(lock, site.pc)), salt_wake);
    const Remembered known(key);
    if (lock != 0 && !self.stale && known.row() != 0) {
        return;
    }
    const Latched latched(tables);
    Wake one{};
    one.thread = self.thread;
    one.segment = threads_segment();
    one.context = on_the_way;
    one.lock = lock_make(address, kind, first_seen(What{address, kind, Mode::write, Callee::none, false}, site));
    const auto* rows_known = rows<Wake>(Part::wakes);
    const auto row = one.lock == 0
                         ? 0
                         : wakes.find_or_make(
                               mix(mix(one.segment, one.context), mix(one.lock, site.pc)),
                               [&](std::uint32_t at) {
                                   return rows_known[at].segment == one.segment &&
                                          rows_known[at].context == one.context && rows_known[at].lock == one.lock;
                               },
                               [&] {
                                   one.stack = Stack{intern_native_stack(site, frames_of_request),
                                                     self.holds_gil ? intern_python_stack() : 0};
                                   return append(Part::wakes, one);
                               });
    if (row == 0) {
        count_lost(Lost::wakes);
    } else {
        Remembered(mix(mix(mix(self.tail, on_the_way), mix(one.lock, site.pc)), salt_wake)).keep(1);
    }
}

void forget_way() {
    self.way.count = 0;
}

WaitUnderGil::WaitUnderGil(const What& what, bool blocks) : what_(what) {
    if (blocks && self.holds_gil) {
        stack_ = self.live->stack;
        self.live->since = begun_ = raw_monotonic();
    }
}

WaitUnderGil::~WaitUnderGil() {
    if (begun_ == 0 || header == nullptr || self.live == nullptr) {
        return;
    }
    const auto time = raw_monotonic() - begun_;
    self.live->since = 0;
    const std::uint64_t others = gil_waiters.load(std::memory_order_relaxed);
    const auto lock = lock_at(what_.address);
    const Latched latched(tables);
    auto* known = rows<Wait>(Part::waits);
    const auto row = waits.find_or_make(
        mix(mix(stack_.native, lock), static_cast<std::uint64_t>(what_.callee)),
        [&](std::uint32_t at) {
            return known[at].stack.native == stack_.native && known[at].lock == lock &&
                   known[at].callee == what_.callee;
        },
        [&] {
            Wait wait{};
            wait.stack = stack_;
            wait.lock = lock;
            wait.callee = what_.callee;
            return append(Part::waits, wait);
        });
    if (row == 0) {
        count_lost(Lost::waits);
        return;
    }
    auto& wait = known[row];
    ++wait.count;
    wait.total += time;
    wait.longest = time > wait.longest ? time : wait.longest;
    wait.others = others > wait.others ? others : wait.others;
    if (time >= shortest_moment) {
        append(Part::moments, Moment{begun_, time, row, self.thread, static_cast<std::uint32_t>(others), 0});
    }
}

} // namespace lock_recorder
