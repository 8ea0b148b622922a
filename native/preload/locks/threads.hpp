// The threads of the process: their rows, what they hold, and the order between their creation and join.

#pragma once

#include "../common/raw.hpp"
#include "format.hpp"
#include "stacks.hpp"

namespace lock_recorder {

constexpr std::uint32_t cache_slots = 1024;

constexpr std::uint32_t most_on_the_way = 8;

/// What a thread took since it began or last waited for a signal.
struct Way {
    std::uint32_t count;
    Held taken[most_on_the_way];
};

/// The state of the calling thread.
struct Self {
    bool passes;               // first, for capi_stubs.cpp: it holds the GIL, and its calls need no look
    bool holds_gil;            // set by has_gil
    std::uint8_t kept;         // borrowed references that are followed, see capi_borrowed.hpp
    std::uint32_t detachments; // how often it has released a GIL
    Live* live;                // null before its first event, and where there is no room
    std::uint64_t* cache;      // recent results, by hash: 32 bits of the hash and a row
    std::uint64_t top;         // highest address of its stack that may be read, 0 if unknown
    std::uint64_t gil;         // mutex of the GIL that it is taking or releasing
    std::uint64_t suspect;     // mutex that may be a GIL's, before one is recognised
    std::uint32_t process;     // number of forks before
    std::uint32_t thread;      // row
    std::uint32_t tail;        // its last segment, or the one in which it was created
    std::uint8_t steps;        // of a recognition
    Way way;
    void* once;               // the innermost call of pthread_once in progress
    std::uint64_t last_mutex; // locked by this thread
    std::uint64_t last_gil;   // met by this thread, 0 for none
    std::uint64_t gil_key;    // stack of its last taking, and the row
    std::uint32_t gil_stack;
    std::uint32_t native_held;       // locks that are neither a GIL nor of Python code
    std::uint16_t saved_depth;       // of the RLock that a wait for a condition has released
    std::uint32_t last_action;       // what it last did with its thread state: the stub, 0 for nothing
    std::uint32_t ensured;           // PyGILState_Ensure without a PyGILState_Release yet
    std::uint64_t last_action_place; // return addresses
    std::uint64_t ensured_place;
    std::uint64_t tried, tried_at, tried_events; // the last lock that it did not get, where, and its events by then
    std::uint64_t descriptor;                    // of the file that it locks
    bool ensured_state;                          // which made the thread state, and deletes it
    bool waits_for_gil;
    bool waits_for_signal; // a lock of Python code that it holds itself
    bool takes_gil;        // it has locked the GIL's second mutex
    bool stale;            // a thread was created or joined since the last segment
    bool asked_for_gil;    // with nothing else held
    bool attached;         // in a call that only an attached thread makes
    bool busy;             // in a hook: what the hook calls is not recorded
    bool refused;          // no room, or it has ended
};

[[gnu::tls_model("initial-exec"), gnu::visibility("hidden")]] extern __thread Self self;

/// The calling thread holds a GIL from now on, or holds it no longer.
inline void has_gil(bool held) {
    self.detachments += self.holds_gil && !held ? 1 : 0;
    self.holds_gil = held;
    self.passes = held && self.kept == 0;
}

/// False where a sanitizer's runtime hides calls of pthread_once and static guards.
extern bool sees_runtime;

/// The lock for all tables and for appending.
extern Latch tables;

/// Start to record this process. The first call decides.
bool threads_prepare();

/// Make the calling thread known. False if it cannot be recorded.
bool threads_enter(const Site& site);

/// A thread is about to be created: its row, 0 if there is no room.
std::uint32_t threads_created(const Site& site);
/// It runs: called by itself, first.
void threads_begin(std::uint32_t row, std::uint64_t top);
/// pthread_create returned its handle, or failed.
void threads_handle(std::uint32_t row, std::uint64_t handle);
/// It ends.
void threads_end();

/// The calling thread has joined it.
void threads_joined(std::uint32_t row);

/// The current segment of the calling thread. Callers exclude each other.
std::uint32_t threads_segment();

/// Before a fork, and after it in the parent and in the child.
void threads_fork();
void threads_went_on();
void threads_forked();

} // namespace lock_recorder
