// The locks by address. A lock gets its row when something is requested while another is held, not before: most locks
// of a program never meet another.

#pragma once

#include "format.hpp"
#include "stacks.hpp"

namespace lock_recorder {

bool locks_prepare();
void locks_forget();

/// The row of the lock at an address now, 0 if it has none. Takes no lock.
std::uint32_t lock_at(std::uint64_t address);

/// The same; 0 as well if the lock at the address is another one by now.
std::uint32_t lock_now(std::uint64_t address, Kind kind);

/// The same; makes a row if it has none. 0 if it does not fit. `exists`: its memory is still a lock's. Callers exclude
/// each other.
std::uint32_t lock_make(std::uint64_t address, Kind kind, Stack first_seen, bool exists = true);

/// A lock was initialised at the address, by a call with this native stack: it is a new one.
void lock_initialised(std::uint64_t address, std::uint32_t created);

/// The lock at the address is gone.
void lock_gone(std::uint64_t address);

/// The thread, as a row, that holds a lock of Python code or of PyThread_allocate_lock; 0 for none.
std::uint32_t lock_owner(std::uint64_t address);
void lock_taken(std::uint64_t address);
void lock_released(std::uint64_t address);

/// The calling thread holds such a lock until its end, which others wait for by it.
void lock_ends_thread(std::uint64_t address);
/// That thread, 0 for any other lock.
std::uint32_t thread_ended_by(std::uint64_t address);
/// The key under which a wait for that end is a request.
std::uint64_t key_of_end(std::uint32_t thread);

/// The key of a module's lock, which has the text of its name.
std::uint64_t module_key(std::uint64_t interpreter, std::uint32_t name);

/// The key of the lock that flock takes by a descriptor, by the path of its file; 0 if that is unknown.
std::uint64_t file_locked_by(std::uint64_t descriptor);

/// The key of a semaphore of System V.
std::uint64_t semaphore_key(int set, unsigned short number);

/// Whether the page of an address may have a lock with a row: most memory that is freed has none.
bool may_have_locks(std::uint64_t address);

/// All locks at addresses from `first` to before `last` are gone.
void locks_gone(std::uint64_t first, std::uint64_t last);

/// The key under which a join of a thread is a request of a lock.
std::uint64_t key_of_thread(std::uint64_t handle);

/// The row of the thread that has this handle now, 0 if unknown. Takes no lock.
std::uint32_t thread_by_handle(std::uint64_t handle);
/// A new thread has this handle, or (0) none has. Callers exclude each other.
void thread_has_handle(std::uint64_t handle, std::uint32_t row);

/// The lock is recognised as a GIL's mutex. Callers exclude each other.
void lock_is_gil(std::uint64_t address);

} // namespace lock_recorder
