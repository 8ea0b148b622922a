// The GIL, recognised by how CPython takes it (take_gil in Python/ceval_gil.c, the same from 3.11 to 3.15): it locks
// the mutex m, locks the mutex at m + 88 (on x86-64), signals the condition at m + 40, unlocks both. The integer 64
// bytes before m says whether the GIL is taken. This needs no symbol for it, so that builds with link-time optimisation
// are seen too.

#pragma once

#include "threads.hpp"

#include <pthread.h>

namespace lock_recorder {

extern bool meets; // meeting.hpp

// struct _gil_runtime_state: ... int locked; ... cond; mutex; switch_cond; switch_mutex.
// On x86-64 a mutex has 40 bytes, on AArch64 48; a condition has 48 on both.
constexpr std::uint64_t to_locked = 64, to_condition = sizeof(pthread_cond_t),
                        to_switch_condition = sizeof(pthread_mutex_t),
                        to_switch_mutex = to_switch_condition + sizeof(pthread_cond_t);

/// Whether the call needs no further look: the calling thread releases the GIL that it met last, or takes it and locks
/// the second mutex. These calls are nine of ten, and a release and a taking are seven in a hundred nanoseconds.
inline bool gil_skips_lock(std::uint64_t mutex) {
    if (mutex == self.last_gil + to_switch_mutex) {
        self.takes_gil = self.gil == self.last_gil;
        return true;
    }
    return mutex == self.last_gil && self.holds_gil;
}
inline bool gil_skips_unlock(std::uint64_t mutex) {
    return mutex == self.last_gil + to_switch_mutex;
}

inline bool gil_is_taken(std::uint64_t gil) {
    return __atomic_load_n(reinterpret_cast<const int*>(gil - to_locked), __ATOMIC_RELAXED) == 1;
}

/// The thread asks for the free GIL, and holds no native lock. Should another one be faster, gil_waits comes next.
inline bool gil_is_free(std::uint64_t mutex) {
    auto* live = self.live;
    if (mutex != self.last_gil || self.holds_gil || self.busy || live == nullptr || self.native_held != 0 || meets ||
        gil_is_taken(mutex)) {
        return false;
    }
    ++live->events;
    self.gil = mutex;
    self.takes_gil = self.waits_for_gil = false;
    return true;
}

/// The thread releases the GIL, which it took last.
inline bool gil_goes(std::uint64_t mutex) {
    auto* live = self.live;
    if (mutex != self.last_gil || !self.holds_gil || self.busy || live == nullptr ||
        live->held[live->held_count - 1].address != mutex || gil_is_taken(mutex)) {
        return false;
    }
    --live->held_count;
    has_gil(false);
    self.gil = 0;
    self.takes_gil = false;
    return true;
}

/// The thread waits for a condition of a GIL.
void gil_waits(const Site& site);
inline bool gil_skips_signal(std::uint64_t condition) {
    return condition == self.last_gil + to_switch_condition || condition == self.last_gil - to_condition;
}

/// The GIL's mutex m if the address is m or m + 88, else 0.
std::uint64_t gil_of(std::uint64_t mutex);

/// The calls of one GIL's mutexes. Before and after the real ones; the release is before.
void gil_before_lock(std::uint64_t gil, std::uint64_t mutex, const Site& site);
void gil_after_lock(std::uint64_t gil, std::uint64_t mutex);
void gil_before_unlock(std::uint64_t gil, std::uint64_t mutex, const Site& site);
/// Whether the condition is one of a GIL: waits for it belong to a GIL's taking or release.
bool is_gil_condition(std::uint64_t condition);

/// Look for a GIL that is not known yet. Called for other mutexes and conditions than those of known GILs.
void suspect_lock(std::uint64_t mutex);
void suspect_signal(std::uint64_t condition);
/// Returns whether the mutex is a GIL's from now on, taken by the calling thread.
bool suspect_unlock(std::uint64_t mutex, const Site& site);

/// A mutex is destroyed or initialised again.
void gil_gone(std::uint64_t mutex);

// A free-threaded Python has no GIL, or one that is switched on for a while. There an attached thread state takes its
// place: a thread that waits for a lock while attached holds up every stop of the world, as by the garbage collector,
// and a thread that is stopped or attaches meanwhile keeps its locks. To attach and to detach are changes of a word in
// memory, so that they are looked at when something else is recorded, and where the C API is called.

/// Whether attached thread states are followed.
extern bool follows_attachment;
/// The highest bits of the keys of these states, one for each interpreter. No address of a program is that high.
constexpr std::uint64_t attachment = std::uint64_t{5} << 60;

/// The calling thread is at a hook, attached or not.
void attachment_seen(const Site& site);
/// It calls a function that attaches or detaches it.
void attachment_changes(const char* function, std::uint64_t argument, const Site& site);

/// In a child of fork: the GILs are at the same addresses.
void gils_again();

} // namespace lock_recorder
