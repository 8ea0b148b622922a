// The functions that this library defines in place of others: each records, and calls the next definition.
//
// Below a sanitizer's interceptors they are called by those. Nothing is held while the next definition runs, because
// it may run the program's own code.

#include "hooks.hpp"

#include "../common/next.hpp"
#include "capi.hpp"
#include "file.hpp"
#include "gil.hpp"
#include "locks.hpp"
#include "meeting.hpp"
#include "objects.hpp"
#include "python.hpp"
#include "record.hpp"
#include "runtime.hpp"
#include "stacks.hpp"
#include "threads.hpp"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/file.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

#define HOOK extern "C" __attribute__((visibility("default")))

namespace lock_recorder {

namespace {

bool active = false; // set before any thread exists
std::size_t (*usable_size)(void*) = nullptr;
void (*next_free)(void*) = nullptr;

/// The definition that would be used without this library; for a few, the version that programs are linked against.
void* next_definition(const char* name) {
#if defined(__x86_64__)
    constexpr const char* versioned = "GLIBC_2.3.2"; // pthread_cond_*, whose first versions have another layout
#else
    constexpr const char* versioned = "GLIBC_2.17";
#endif
    void* found = dlvsym(RTLD_NEXT, name, versioned);
    return found != nullptr ? found : dlsym(RTLD_NEXT, name);
}

using Definition = preload::Next<void*, next_definition>;

/// The same; if no object offers it to all, the one of the object that contains `datum` and its libraries: a C++
/// library that an extension module brings is not visible to others.
void* definition_for(Definition& next, std::uint64_t datum) {
    if (void* known = next.get()) {
        return known;
    }
    static const auto open = reinterpret_cast<decltype(&dlopen)>(libc_function("dlopen"));
    static const auto close = reinterpret_cast<decltype(&dlclose)>(libc_function("dlclose"));
    Loaded object{};
    void* handle = find_object(datum, object) ? open(object.path, RTLD_LAZY | RTLD_NOLOAD) : nullptr;
    void* found = handle == nullptr ? nullptr : dlsym(handle, next.name());
    if (handle != nullptr) {
        close(handle);
    }
    return found;
}

/// All of them lie next to each other, between addresses that the linker knows.
#define NEXTS __attribute__((section("next_definitions"), used))
extern "C" __attribute__((visibility("hidden"))) Definition __start_next_definitions[], __stop_next_definitions[];

/// A function may be called for the first time in a signal handler, where the dynamic linker must not allocate.
void find_definitions() {
    for (auto* each = __start_next_definitions; each != __stop_next_definitions; ++each) {
        each->get();
    }
}

} // namespace

bool enter(const Site& site) {
    if (!active || self.busy) {
        return false;
    }
    self.busy = true;
    if (!threads_enter(site)) {
        self.busy = false;
        return false;
    }
    if (follows_attachment) {
        attachment_seen(site);
    }
    return true;
}

bool enter_again() {
    self.busy = self.live != nullptr;
    return self.busy;
}

void leave() {
    self.busy = false;
}

namespace {

template <typename Object>
std::uint64_t address_of(Object* object) {
    return reinterpret_cast<std::uint64_t>(object);
}

bool is_acquired(int result) {
    return result == 0 || result == EOWNERDEAD;
}

/// A call that waits for a lock and then holds it.
template <typename Call>
int acquire(const What& what, const Site& site, bool blocks, Call call) {
    const bool again = held_at(what.address) != nullptr;
    request(what, site, blocks, again);
    const WaitUnderGil wait(what, blocks);
    leave();
    const int result = call();
    if (enter_again()) {
        requested();
        if (is_acquired(result)) {
            acquired_again(what, site);
        } else if (what.timed) {
            tried(what, site);
        }
    }
    return result;
}

template <typename Call>
int acquire_at_once(const What& what, const Site& site, Call call) {
    if (!enter(site)) {
        return call();
    }
    leave();
    const int result = call();
    if (enter_again()) {
        if (is_acquired(result)) {
            acquired_again(what, site);
        } else {
            tried(what, site);
        }
        leave();
    }
    return result;
}

/// A call that waits for a signal, which nobody holds.
template <typename Call>
long wait_for_signal(const What& what, const Site& site, bool blocks, Call call) {
    if (!enter(site)) {
        return call();
    }
    long result;
    {
        request(what, site, blocks);
        const WaitUnderGil wait(what, blocks);
        leave();
        result = call();
        if (enter_again()) {
            requested();
            forget_way();
        }
    }
    leave();
    return result;
}

void signal(std::uint64_t address, Kind kind, const Site& site) {
    if (enter(site)) {
        wake(address, kind, site);
        leave();
    }
}

void release(std::uint64_t address, const Site& site) {
    if (enter(site)) {
        released(address);
        leave();
    }
}

void initialised(std::uint64_t address, const Site& site) {
    if (enter(site)) {
        released(address);
        lock_initialised(address, native_stack(site));
        leave();
    }
}

void gone(std::uint64_t address, const Site& site) {
    if (enter(site)) {
        released(address);
        lock_gone(address);
        leave();
    }
}

template <typename Call>
int lock_mutex(pthread_mutex_t* mutex, Callee callee, bool timed, const Site& site, Call call) {
    if (!enter(site)) {
        return call();
    }
    const auto address = address_of(mutex);
    int result;
    if (const auto gil = gil_of(address)) {
        gil_before_lock(gil, address, site);
        leave();
        result = call();
        if (enter_again() && result == 0) {
            gil_after_lock(gil, address);
        }
    } else {
        suspect_lock(address);
        const bool blocks = __atomic_load_n(&mutex->__data.__lock, __ATOMIC_RELAXED) != 0;
        result = acquire(What{address, Kind::mutex, Mode::write, callee, timed}, site, blocks, call);
    }
    leave();
    return result;
}

template <typename Call>
int lock_rwlock(pthread_rwlock_t* lock, Mode mode, bool timed, const Site& site, Call call) {
    if (!enter(site)) {
        return call();
    }
    constexpr unsigned written = 3; // PTHREAD_RWLOCK_WRPHASE, _WRLOCKED
    const auto readers = __atomic_load_n(&lock->__data.__readers, __ATOMIC_RELAXED);
    const bool blocks = mode == Mode::read ? (readers & written) != 0 : readers != 0;
    const auto callee = mode == Mode::read ? Callee::rwlock_rdlock : Callee::rwlock_wrlock;
    const int result = acquire(What{address_of(lock), Kind::rwlock, mode, callee, timed}, site, blocks, call);
    leave();
    return result;
}

/// A wait for a condition gives its mutex back meanwhile.
template <typename Call>
int wait_for_condition(pthread_cond_t* condition, pthread_mutex_t* mutex, bool timed, const Site& site, Call call) {
    if (!enter(site)) {
        return call();
    }
    if (is_gil_condition(address_of(condition))) {
        gil_waits(site);
        leave();
        return call();
    }
    const What lock = {address_of(mutex), Kind::mutex, Mode::write, Callee::mutex_lock, false};
    const auto callee = timed ? Callee::cond_timedwait : Callee::cond_wait;
    const What signal = {address_of(condition), Kind::condition, Mode::write, callee, timed};
    released(lock.address);
    request(lock, site, false);
    int result;
    {
        request(signal, site, true);
        const WaitUnderGil wait(signal, true);
        leave();
        result = call();
        if (enter_again()) {
            requested();
            forget_way();
            acquired_again(lock, site);
        }
    }
    leave();
    return result;
}

struct Once {
    void (*routine)();
    What what;
    Site site;
    void* outer;
};

/// Runs a routine of pthread_once, which may throw: then what it held is dropped later.
void run_once() {
    const auto* once = static_cast<const Once*>(self.once);
    if (enter_again()) {
        requested();
        acquired(once->what, once->site);
    }
    leave();
    once->routine();
    if (enter_again()) {
        released(once->what.address);
    }
    leave();
}

struct Start {
    void* (*function)(void*);
    void* argument;
};
constexpr std::uint64_t most_starts = 1 << 17;
Start* starts = nullptr;

/// The first function of each thread. Below a sanitizer's interceptor, its runtime does not know the thread yet.
void* run_thread(void* row) {
    const auto number = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(row));
    const auto start = starts[number];
    threads_begin(number, address_of(static_cast<char*>(__builtin_frame_address(0))));
    return start.function(start.argument);
}

bool is_of_python(std::uint64_t pc) {
    return pc >= python_first && pc < python_last;
}

template <typename Call>
int wait_for_semaphore(sem_t* semaphore, bool timed, const Site& site, Call call) {
    if (is_of_python(site.pc)) {
        return call(); // a lock of Python code, up to 3.12
    }
    const bool blocks = __atomic_load_n(reinterpret_cast<const unsigned*>(semaphore), __ATOMIC_RELAXED) == 0;
    const auto callee = timed ? Callee::sem_timedwait : Callee::sem_wait;
    return static_cast<int>(
        wait_for_signal(What{address_of(semaphore), Kind::semaphore, Mode::write, callee, timed}, site, blocks, call));
}

/// Semaphores of System V. A call waits for its first subtraction; waits for zero are not recorded.
template <typename Call>
int operate(int set, const sembuf* operations, std::size_t count, bool timed, const Site& site, Call call) {
    const sembuf* taken = nullptr;
    for (std::size_t i = count; i-- > 0;) {
        if (operations[i].sem_op > 0) {
            signal(semaphore_key(set, operations[i].sem_num), Kind::semaphore, site);
        } else if (operations[i].sem_op < 0 && (operations[i].sem_flg & IPC_NOWAIT) == 0) {
            taken = &operations[i];
        }
    }
    if (taken == nullptr) {
        return call();
    }
    const bool blocks = raw_call(SYS_semctl, set, taken->sem_num, GETVAL) + taken->sem_op < 0;
    const What what = {semaphore_key(set, taken->sem_num), Kind::semaphore, Mode::write,
                       timed ? Callee::semtimedop : Callee::semop, timed};
    return static_cast<int>(wait_for_signal(what, site, blocks, call));
}

/// Each thread that arrives wakes the others, and waits for them.
template <typename Call>
int wait_at_barrier(pthread_barrier_t* barrier, const Site& site, Call call) {
    signal(address_of(barrier), Kind::barrier, site);
    const What what = {address_of(barrier), Kind::barrier, Mode::write, Callee::barrier, false};
    return static_cast<int>(wait_for_signal(what, site, true, call));
}

/// A lock of PyThread_allocate_lock. Where its holder waits for it, another thread is to release it.
template <typename Call>
int lock_thread_lock(void* lock, bool blocks, bool timed, const Site& site, Call call) {
    const What what = {address_of(lock), Kind::thread_lock, Mode::write, Callee::thread_lock, timed};
    if (!blocks) {
        return acquire_at_once(what, site, call);
    }
    if (!enter(site)) {
        return call();
    }
    const bool is_taken = lock_owner(what.address) != 0;
    if (released(what.address)) {
        lock_taken(what.address);
    }
    const int result = acquire(what, site, is_taken, call);
    leave();
    return result;
}

template <typename Call>
int join(pthread_t handle, bool timed, const Site& site, Call call) {
    if (!enter(site)) {
        return call();
    }
    const auto row = thread_by_handle(static_cast<std::uint64_t>(handle));
    int result;
    if (row == 0) {
        leave();
        return call();
    }
    {
        const auto key = key_of_thread(static_cast<std::uint64_t>(handle));
        const What what = {key, Kind::thread, Mode::write, Callee::join, timed};
        const bool blocks = rows<Thread>(Part::threads)[row].ended == 0;
        request(what, site, blocks);
        const WaitUnderGil wait(what, blocks);
        leave();
        result = call();
        if (enter_again()) {
            requested();
            if (result == 0) {
                threads_joined(row);
            }
        }
    }
    leave();
    return result;
}

bool started = false, is_whole = true;

void start() {
    if (started) {
        return;
    }
    started = true;
    next_free = reinterpret_cast<void (*)(void*)>(dlsym(RTLD_NEXT, "free"));
    usable_size = reinterpret_cast<std::size_t (*)(void*)>(dlsym(RTLD_DEFAULT, "malloc_usable_size"));
    if (!file_requested()) {
        return;
    }
    file_note("loaded");
    is_whole = file_unload();
    meeting_prepare();
    find_runtime();
    sees_runtime = redirect_runtime();
    starts = static_cast<Start*>(raw_memory(most_starts * sizeof *starts));
    if (starts != nullptr && pthread_atfork(threads_fork, threads_went_on, threads_forked) == 0) {
        active = true;
        if (!only_waits) {
            capi_redirect();
        }
    }
}

[[gnu::constructor]] void start_program(int, char** words, char**) {
    find_definitions();
    start();
    if (!is_whole && has_shared_runtime()) {
        file_load_again(words); // one that another has started, and whose runtime has to come first
    }
}

[[gnu::destructor]] void finish() {
    if (active && !only_waits) {
        capi_redirect(); // to note what was loaded unseen
    }
    if (header != nullptr) {
        header->flags.fetch_or(ended);
    }
}

} // namespace

} // namespace lock_recorder

using namespace lock_recorder;

// The return address, stack pointer and frame pointer of the caller.
#define SITE                                                                                                           \
    const Site site = program_site({reinterpret_cast<std::uint64_t>(__builtin_return_address(0)),                      \
                                    reinterpret_cast<std::uint64_t>(__builtin_dwarf_cfa()),                            \
                                    *static_cast<std::uint64_t*>(__builtin_frame_address(0))})
#define NEXT_FOR(name, datum)                                                                                          \
    NEXTS static Definition next_of(#name);                                                                            \
    const auto next = reinterpret_cast<decltype(&::name)>(definition_for(next_of, datum))
#define NEXT(name)                                                                                                     \
    NEXTS static Definition next_of(#name);                                                                            \
    const auto next = reinterpret_cast<decltype(&::name)>(next_of.get())

/// The file that each object begins with (crti.o) calls it where it exists: after all that is loaded together is
/// relocated, and before the object's constructors. A sanitizer's runtime may not be ready for the start yet, and the C
/// library is not while there is no environment.
HOOK void __gmon_start__() {
    if (!started) {
        if (__environ != nullptr && dlsym(RTLD_DEFAULT, "__tsan_init") == nullptr) {
            start();
        }
    } else if (active && !only_waits) {
        capi_redirect();
    }
}

/// std::mutex has no destructor that could be seen: what is freed contains no lock any more. Larger blocks mostly have
/// theirs at the beginning.
HOOK void free(void* memory) {
    constexpr std::uint64_t most = 1024;
    const auto address = address_of(memory);
    if (memory != nullptr && active && !self.busy && self.live != nullptr && may_have_locks(address)) {
        self.busy = true;
        const auto bytes = usable_size == nullptr ? 0 : usable_size(memory);
        locks_gone(address, address + (bytes < most ? bytes : most));
        self.busy = false;
    }
    if (next_free != nullptr) {
        next_free(memory);
    } // else it is the dynamic linker's, before the start
}

HOOK int pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t* attributes) {
    NEXT(pthread_mutex_init);
    SITE;
    const int result = next(mutex, attributes);
    if (gil_of(address_of(mutex)) == 0) {
        initialised(address_of(mutex), site);
    }
    return result;
}

HOOK int pthread_mutex_destroy(pthread_mutex_t* mutex) {
    NEXT(pthread_mutex_destroy);
    SITE;
    if (enter(site)) {
        gil_gone(address_of(mutex));
        leave();
    }
    gone(address_of(mutex), site);
    return next(mutex);
}

HOOK int pthread_mutex_lock(pthread_mutex_t* mutex) {
    NEXT(pthread_mutex_lock);
    if (gil_skips_lock(address_of(mutex)) || gil_is_free(address_of(mutex)) || in_unwinder(address_of(mutex))) {
        return next(mutex);
    }
    SITE;
    return lock_mutex(mutex, Callee::mutex_lock, false, site, [=] { return next(mutex); });
}

HOOK int pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* end) {
    NEXT(pthread_mutex_timedlock);
    SITE;
    return lock_mutex(mutex, Callee::mutex_timedlock, true, site, [=] { return next(mutex, end); });
}

HOOK int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* end) {
    NEXT(pthread_mutex_clocklock);
    SITE;
    return lock_mutex(mutex, Callee::mutex_timedlock, true, site, [=] { return next(mutex, clock, end); });
}

HOOK int pthread_mutex_trylock(pthread_mutex_t* mutex) {
    NEXT(pthread_mutex_trylock);
    SITE;
    const What what = {address_of(mutex), Kind::mutex, Mode::write, Callee::mutex_lock, false};
    return acquire_at_once(what, site, [=] { return next(mutex); });
}

HOOK int pthread_mutex_unlock(pthread_mutex_t* mutex) {
    NEXT(pthread_mutex_unlock);
    if (gil_skips_unlock(address_of(mutex)) || gil_goes(address_of(mutex)) || in_unwinder(address_of(mutex))) {
        return next(mutex);
    }
    SITE;
    if (enter(site)) {
        const auto address = address_of(mutex);
        if (const auto gil = gil_of(address)) {
            gil_before_unlock(gil, address, site);
        } else if (!suspect_unlock(address, site)) {
            released(address);
        }
        leave();
    }
    return next(mutex);
}

HOOK int pthread_rwlock_destroy(pthread_rwlock_t* lock) {
    NEXT(pthread_rwlock_destroy);
    SITE;
    gone(address_of(lock), site);
    return next(lock);
}

HOOK int pthread_rwlock_init(pthread_rwlock_t* lock, const pthread_rwlockattr_t* attributes) {
    NEXT(pthread_rwlock_init);
    SITE;
    initialised(address_of(lock), site);
    return next(lock, attributes);
}

HOOK int pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
    NEXT(pthread_rwlock_rdlock);
    SITE;
    return lock_rwlock(lock, Mode::read, false, site, [=] { return next(lock); });
}

HOOK int pthread_rwlock_timedrdlock(pthread_rwlock_t* lock, const timespec* end) {
    NEXT(pthread_rwlock_timedrdlock);
    SITE;
    return lock_rwlock(lock, Mode::read, true, site, [=] { return next(lock, end); });
}

HOOK int pthread_rwlock_clockrdlock(pthread_rwlock_t* lock, clockid_t clock, const timespec* end) {
    NEXT(pthread_rwlock_clockrdlock);
    SITE;
    return lock_rwlock(lock, Mode::read, true, site, [=] { return next(lock, clock, end); });
}

HOOK int pthread_rwlock_wrlock(pthread_rwlock_t* lock) {
    NEXT(pthread_rwlock_wrlock);
    SITE;
    return lock_rwlock(lock, Mode::write, false, site, [=] { return next(lock); });
}

HOOK int pthread_rwlock_timedwrlock(pthread_rwlock_t* lock, const timespec* end) {
    NEXT(pthread_rwlock_timedwrlock);
    SITE;
    return lock_rwlock(lock, Mode::write, true, site, [=] { return next(lock, end); });
}

HOOK int pthread_rwlock_clockwrlock(pthread_rwlock_t* lock, clockid_t clock, const timespec* end) {
    NEXT(pthread_rwlock_clockwrlock);
    SITE;
    return lock_rwlock(lock, Mode::write, true, site, [=] { return next(lock, clock, end); });
}

HOOK int pthread_rwlock_tryrdlock(pthread_rwlock_t* lock) {
    NEXT(pthread_rwlock_tryrdlock);
    SITE;
    const What what = {address_of(lock), Kind::rwlock, Mode::read, Callee::rwlock_rdlock, false};
    return acquire_at_once(what, site, [=] { return next(lock); });
}

HOOK int pthread_rwlock_trywrlock(pthread_rwlock_t* lock) {
    NEXT(pthread_rwlock_trywrlock);
    SITE;
    const What what = {address_of(lock), Kind::rwlock, Mode::write, Callee::rwlock_wrlock, false};
    return acquire_at_once(what, site, [=] { return next(lock); });
}

HOOK int pthread_rwlock_unlock(pthread_rwlock_t* lock) {
    NEXT(pthread_rwlock_unlock);
    SITE;
    release(address_of(lock), site);
    return next(lock);
}

HOOK int pthread_spin_init(pthread_spinlock_t* lock, int shared) {
    NEXT(pthread_spin_init);
    SITE;
    initialised(address_of(lock), site);
    return next(lock, shared);
}

HOOK int pthread_spin_destroy(pthread_spinlock_t* lock) {
    NEXT(pthread_spin_destroy);
    SITE;
    gone(address_of(lock), site);
    return next(lock);
}

HOOK int pthread_spin_lock(pthread_spinlock_t* lock) {
    NEXT(pthread_spin_lock);
    SITE;
    if (!enter(site)) {
        return next(lock);
    }
    const What what = {address_of(lock), Kind::spin, Mode::write, Callee::spin_lock, false};
#if defined(__x86_64__)
    constexpr int is_free = 1;
#else
    constexpr int is_free = 0;
#endif
    const bool blocks = __atomic_load_n(lock, __ATOMIC_RELAXED) != is_free;
    const int result = acquire(what, site, blocks, [=] { return next(lock); });
    leave();
    return result;
}

HOOK int pthread_spin_trylock(pthread_spinlock_t* lock) {
    NEXT(pthread_spin_trylock);
    SITE;
    const What what = {address_of(lock), Kind::spin, Mode::write, Callee::spin_lock, false};
    return acquire_at_once(what, site, [=] { return next(lock); });
}

HOOK int pthread_spin_unlock(pthread_spinlock_t* lock) {
    NEXT(pthread_spin_unlock);
    SITE;
    release(address_of(lock), site);
    return next(lock);
}

HOOK int pthread_once(pthread_once_t* control, void (*routine)()) {
    NEXT(pthread_once);
    SITE;
    constexpr int done = 2; // __PTHREAD_ONCE_DONE of glibc
    const int state = __atomic_load_n(control, __ATOMIC_ACQUIRE);
    // The unwinder does this at each exception, and runs nothing of anybody else's.
    if (((state & done) != 0 && in_unwinder(site.pc)) || !enter(site)) {
        return next(control, routine);
    }
    if ((state & done) != 0) {
        // A moment earlier it would have waited for the thread that ran the routine.
        request(What{address_of(control), Kind::once, Mode::write, Callee::once, false}, site, false);
        requested();
        leave();
        return next(control, routine);
    }
    Once once = {routine, What{address_of(control), Kind::once, Mode::write, Callee::once, false}, site, self.once};
    self.once = &once;
    const bool blocks = state != 0;
    int result;
    {
        request(once.what, site, blocks);
        const WaitUnderGil wait(once.what, blocks);
        leave();
        result = next(control, run_once);
        if (enter_again()) {
            requested();
        }
    }
    self.once = once.outer;
    leave();
    return result;
}

extern "C" int __cxa_guard_acquire(std::int64_t* guard);
extern "C" void __cxa_guard_release(std::int64_t* guard);
extern "C" void __cxa_guard_abort(std::int64_t* guard);

HOOK int __cxa_guard_acquire(std::int64_t* guard) {
    NEXT_FOR(__cxa_guard_acquire, address_of(guard)); // a static variable of the caller
    SITE;
    const auto state = __atomic_load_n(reinterpret_cast<const std::uint32_t*>(guard), __ATOMIC_ACQUIRE);
    if ((state & 0xffU) != 0 || !enter(site)) {
        return next(guard);
    }
    const What what = {address_of(guard), Kind::guard, Mode::write, Callee::guard, false};
    int mine;
    {
        const bool blocks = state != 0;
        request(what, site, blocks);
        const WaitUnderGil wait(what, blocks);
        // Busy: it runs none of the program's code, and its own waits are this one.
        mine = next(guard);
        if (enter_again()) {
            requested();
            if (mine != 0) {
                acquired(what, site);
            }
        }
    }
    leave();
    return mine;
}

HOOK void __cxa_guard_release(std::int64_t* guard) {
    NEXT_FOR(__cxa_guard_release, address_of(guard)); // a static variable of the caller
    SITE;
    release(address_of(guard), site);
    next(guard);
}

HOOK void __cxa_guard_abort(std::int64_t* guard) {
    NEXT_FOR(__cxa_guard_abort, address_of(guard)); // a static variable of the caller
    SITE;
    release(address_of(guard), site);
    next(guard);
}

HOOK int pthread_cond_destroy(pthread_cond_t* condition) {
    NEXT(pthread_cond_destroy);
    SITE;
    gone(address_of(condition), site);
    return next(condition);
}

HOOK int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
    NEXT(pthread_cond_wait);
    SITE;
    return wait_for_condition(condition, mutex, false, site, [=] { return next(condition, mutex); });
}

HOOK int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* end) {
    NEXT(pthread_cond_timedwait);
    SITE;
    return wait_for_condition(condition, mutex, true, site, [=] { return next(condition, mutex, end); });
}

HOOK int
pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* end) {
    NEXT(pthread_cond_clockwait);
    SITE;
    return wait_for_condition(condition, mutex, true, site, [=] { return next(condition, mutex, clock, end); });
}

HOOK int pthread_cond_signal(pthread_cond_t* condition) {
    NEXT(pthread_cond_signal);
    if (gil_skips_signal(address_of(condition))) {
        return next(condition);
    }
    SITE;
    if (!is_gil_condition(address_of(condition))) {
        suspect_signal(address_of(condition));
        signal(address_of(condition), Kind::condition, site);
    }
    return next(condition);
}

HOOK int pthread_cond_broadcast(pthread_cond_t* condition) {
    NEXT(pthread_cond_broadcast);
    SITE;
    if (!is_gil_condition(address_of(condition))) {
        signal(address_of(condition), Kind::condition, site);
    }
    return next(condition);
}

HOOK int pthread_barrier_destroy(pthread_barrier_t* barrier) {
    NEXT(pthread_barrier_destroy);
    SITE;
    gone(address_of(barrier), site);
    return next(barrier);
}

HOOK int pthread_barrier_wait(pthread_barrier_t* barrier) {
    NEXT(pthread_barrier_wait);
    SITE;
    return wait_at_barrier(barrier, site, [=] { return next(barrier); });
}

HOOK int sem_destroy(sem_t* semaphore) {
    NEXT(sem_destroy);
    SITE;
    gone(address_of(semaphore), site);
    return next(semaphore);
}

HOOK int sem_wait(sem_t* semaphore) {
    NEXT(sem_wait);
    SITE;
    return wait_for_semaphore(semaphore, false, site, [=] { return next(semaphore); });
}

HOOK int sem_timedwait(sem_t* semaphore, const timespec* end) {
    NEXT(sem_timedwait);
    SITE;
    return wait_for_semaphore(semaphore, true, site, [=] { return next(semaphore, end); });
}

HOOK int sem_clockwait(sem_t* semaphore, clockid_t clock, const timespec* end) {
    NEXT(sem_clockwait);
    SITE;
    return wait_for_semaphore(semaphore, true, site, [=] { return next(semaphore, clock, end); });
}

HOOK int sem_post(sem_t* semaphore) {
    NEXT(sem_post);
    SITE;
    if (!is_of_python(site.pc)) {
        signal(address_of(semaphore), Kind::semaphore, site);
    }
    return next(semaphore);
}

HOOK int semop(int set, sembuf* operations, std::size_t count) noexcept {
    NEXT(semop);
    SITE;
    return operate(set, operations, count, false, site, [=] { return next(set, operations, count); });
}

HOOK int semtimedop(int set, sembuf* operations, std::size_t count, const timespec* limit) noexcept {
    NEXT(semtimedop);
    SITE;
    return operate(set, operations, count, limit != nullptr, site, [=] { return next(set, operations, count, limit); });
}

HOOK int pthread_create(pthread_t* handle, const pthread_attr_t* attributes, void* (*function)(void*), void* argument) {
    NEXT(pthread_create);
    SITE;
    if (!enter(site)) {
        return next(handle, attributes, function, argument);
    }
    const auto row = threads_created(site);
    leave();
    if (row == 0 || row >= most_starts) {
        return next(handle, attributes, function, argument);
    }
    starts[row] = Start{function, argument};
    const int result = next(handle, attributes, run_thread, reinterpret_cast<void*>(std::uintptr_t{row}));
    if (enter_again()) {
        if (result == 0) {
            threads_handle(row, static_cast<std::uint64_t>(*handle));
        } else {
            rows<Thread>(Part::threads)[row].ended = 1;
        }
    }
    leave();
    return result;
}

HOOK int pthread_join(pthread_t handle, void** value) {
    NEXT(pthread_join);
    SITE;
    return join(handle, false, site, [=] { return next(handle, value); });
}

HOOK int pthread_timedjoin_np(pthread_t handle, void** value, const timespec* end) {
    NEXT(pthread_timedjoin_np);
    SITE;
    return join(handle, true, site, [=] { return next(handle, value, end); });
}

HOOK int pthread_clockjoin_np(pthread_t handle, void** value, clockid_t clock, const timespec* end) {
    NEXT(pthread_clockjoin_np);
    SITE;
    return join(handle, true, site, [=] { return next(handle, value, clock, end); });
}

HOOK int flock(int descriptor, int operation) {
    NEXT(flock);
    SITE;
    const auto call = [=] { return next(descriptor, operation); };
    if (!enter(site)) {
        return call();
    }
    const auto address = file_locked_by(static_cast<std::uint64_t>(descriptor));
    released(address); // to change its mode releases it, too
    if (address == 0 || (operation & LOCK_UN) != 0) {
        leave();
        return call();
    }
    self.descriptor = static_cast<std::uint64_t>(descriptor);
    const auto mode = (operation & LOCK_SH) != 0 ? Mode::read : Mode::write;
    const What what = {address, Kind::file, mode, Callee::flock, false};
    int result;
    if ((operation & LOCK_NB) != 0) {
        leave();
        result = acquire_at_once(what, site, call);
    } else {
        result = acquire(what, site, true, call);
        leave();
    }
    return result;
}

/// The functions of <cstdio> take this lock, too, without a call: never for long, unless another thread keeps it.
HOOK void flockfile(FILE* file) noexcept {
    NEXT(flockfile);
    SITE;
    if (!enter(site)) {
        next(file);
        return;
    }
    // Its first word is not 0 while it is locked, by this thread or another.
    const auto* lock = reinterpret_cast<const int*>(file->_lock);
    const bool blocks = lock != nullptr && __atomic_load_n(lock, __ATOMIC_RELAXED) != 0;
    const What what = {address_of(file), Kind::stream, Mode::write, Callee::flockfile, false};
    acquire(what, site, blocks, [=] {
        next(file);
        return 0;
    });
    leave();
}

HOOK int ftrylockfile(FILE* file) noexcept {
    NEXT(ftrylockfile);
    SITE;
    const What what = {address_of(file), Kind::stream, Mode::write, Callee::flockfile, false};
    return acquire_at_once(what, site, [=] { return next(file); });
}

HOOK void funlockfile(FILE* file) noexcept {
    NEXT(funlockfile);
    SITE;
    release(address_of(file), site);
    next(file);
}

HOOK long syscall(long number, ...) {
    NEXT(syscall);
    SITE;
    long words[6];
    va_list rest;
    va_start(rest, number);
    for (auto& word : words) {
        word = va_arg(rest, long);
    }
    va_end(rest);
    const auto call = [&] { return next(number, words[0], words[1], words[2], words[3], words[4], words[5]); };
    if (number != SYS_futex) {
        return call();
    }
    const auto operation = words[1] & FUTEX_CMD_MASK;
    const auto address = static_cast<std::uint64_t>(words[0]);
    if (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET) {
        const bool blocks =
            __atomic_load_n(reinterpret_cast<const int*>(address), __ATOMIC_RELAXED) == static_cast<int>(words[2]);
        return wait_for_signal(What{address, Kind::futex, Mode::write, Callee::futex, words[3] != 0}, site, blocks,
                               call);
    }
    if (operation == FUTEX_WAKE || operation == FUTEX_WAKE_BITSET) {
        signal(address, Kind::futex, site);
    }
    return call();
}

// --- locks of PyThread_allocate_lock --------------------------------------------------------------------------------

// Extensions reach these by their own tables, as all functions of CPython: libpython's calls of them stay its own.

namespace lock_recorder {

namespace {

void* (*real_allocate_lock)() = nullptr;
void (*real_free_lock)(void*) = nullptr;
int (*real_acquire_lock)(void*, int) = nullptr;
int (*real_acquire_lock_timed)(void*, long long, int) = nullptr;
void (*real_release_lock)(void*) = nullptr;
constexpr int lock_acquired = 1; // PY_LOCK_ACQUIRED

void* allocate_lock() {
    SITE;
    void* lock = real_allocate_lock();
    initialised(address_of(lock), site);
    return lock;
}

void free_lock(void* lock) {
    SITE;
    gone(address_of(lock), site);
    real_free_lock(lock);
}

int acquire_lock(void* lock, int waits) {
    SITE;
    const auto call = [=] { return real_acquire_lock(lock, waits) == lock_acquired ? 0 : EBUSY; };
    return lock_thread_lock(lock, waits != 0, false, site, call) == 0 ? lock_acquired : 0;
}

int acquire_lock_timed(void* lock, long long microseconds, int interruptible) {
    SITE;
    int status = 0;
    lock_thread_lock(lock, microseconds != 0, microseconds > 0, site, [&] {
        status = real_acquire_lock_timed(lock, microseconds, interruptible);
        return status == lock_acquired ? 0 : EBUSY;
    });
    return status;
}

void release_lock(void* lock) {
    SITE;
    const auto address = address_of(lock);
    if (enter(site)) {
        if (!released(address) && lock_owner(address) != 0) {
            wake(address, Kind::thread_lock, site); // another thread's: it was a signal
            lock_released(address);
        }
        leave();
    }
    real_release_lock(lock);
}

const struct {
    const char* name;
    void** real;
    void* ours;
} of_thread_locks[] = {
    {"PyThread_allocate_lock", reinterpret_cast<void**>(&real_allocate_lock), reinterpret_cast<void*>(allocate_lock)},
    {"PyThread_free_lock", reinterpret_cast<void**>(&real_free_lock), reinterpret_cast<void*>(free_lock)},
    {"PyThread_acquire_lock", reinterpret_cast<void**>(&real_acquire_lock), reinterpret_cast<void*>(acquire_lock)},
    {"PyThread_acquire_lock_timed", reinterpret_cast<void**>(&real_acquire_lock_timed),
     reinterpret_cast<void*>(acquire_lock_timed)},
    {"PyThread_release_lock", reinterpret_cast<void**>(&real_release_lock), reinterpret_cast<void*>(release_lock)},
};

} // namespace

void* locking(const char* name, void* target) {
    for (const auto& each : of_thread_locks) {
        if (same_text(name, each.name)) {
            *each.real = target;
            return each.ours;
        }
    }
    return target;
}

} // namespace lock_recorder
