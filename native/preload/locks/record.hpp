// What the calling thread requests, acquires and releases. A request is recorded before the call that may block, each
// distinct one once; a signal has no holder.

#pragma once

#include "threads.hpp"

namespace lock_recorder {

bool record_prepare();
void record_forget();

struct What {
    std::uint64_t address;
    Kind kind;
    Mode mode;
    Callee callee;
    bool timed;
};

/// The calling thread is about to wait, if it must: record the request and what it holds. `blocks`: it will wait.
/// `again`: it holds the lock already, which is no request.
void request(const What& what, const Site& site, bool blocks, bool again = false);
/// It tried to take the lock, or waited for a time, and did not get it. The second time in a row, without anything else
/// taken in between, it waits by trying again.
void tried(const What& what, const Site& site);
/// The calling thread, which holds this GIL, makes a call that may release it and request it again.
void may_request_gil(std::uint64_t gil, const Site& site);
/// Call sites as rows, by what costs little to find out.
std::uint32_t native_stack(const Site& site);
/// It waits no longer.
void requested();

/// Whether it is a lock of Python code, for which CPython releases the GIL.
inline bool is_of_python_code(Kind kind) {
    return kind == Kind::python || kind == Kind::module || kind == Kind::import;
}

/// Whether any thread may release it, so that who holds it is written down.
inline bool has_owner(Kind kind) {
    return is_of_python_code(kind) || kind == Kind::thread_lock;
}

/// It holds the lock from now on.
void acquired(const What& what, const Site& site);
/// The same, for a lock that it may hold already.
void acquired_again(const What& what, const Site& site);
/// It holds the lock no longer. False if it did not.
bool released(std::uint64_t address);

/// Whether it holds the lock.
Held* held_at(std::uint64_t address);

/// It wakes those that wait for a signal.
void wake(std::uint64_t address, Kind kind, const Site& site);

/// The context of what it took since it began or last waited for a signal, 0 for nothing.
std::uint32_t way_context();
/// Whether that is all.
bool way_is_whole();

/// Its waits are over, or it has begun: what it takes from now on is on the way to its next signal.
void forget_way();

/// Measures a wait that is made with the GIL held.
class WaitUnderGil {
public:
    /// After `request`.
    WaitUnderGil(const What& what, bool blocks);
    ~WaitUnderGil();
    WaitUnderGil(const WaitUnderGil&) = delete;
    WaitUnderGil& operator=(const WaitUnderGil&) = delete;

private:
    const What& what_;
    Stack stack_ = {};
    std::uint64_t begun_ = 0;
};

/// Threads that wait for a GIL now.
extern std::atomic<std::uint32_t> gil_waiters;

} // namespace lock_recorder
