// Functions with a clock: pthread_mutex_clocklock (not in the runtimes of GCC 11, 12 and LLVM 16),
// pthread_rwlock_clock*, sem_clockwait and pthread_clockjoin_np (in none). The C++ library's timed locks use the first
// two.
#include "shim.hpp"

#include <cerrno>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

// The runtime's own, where it has one.
extern "C" {
__attribute__((weak)) void __interceptor_pthread_mutex_clocklock();
__attribute__((weak)) void __interceptor_pthread_rwlock_clockrdlock();
__attribute__((weak)) void __interceptor_pthread_rwlock_clockwrlock();
__attribute__((weak)) void __interceptor_sem_clockwait();
__attribute__((weak)) void __interceptor_pthread_clockjoin_np();
}

namespace {

using namespace python_tsan::shims;

using MutexWait = int (*)(pthread_mutex_t*, clockid_t, const timespec*);
using LockWait = int (*)(pthread_rwlock_t*, clockid_t, const timespec*);
using SemaphoreWait = int (*)(sem_t*, clockid_t, const timespec*);
using ClockJoin = int (*)(pthread_t, void**, clockid_t, const timespec*);
using TimedJoin = int (*)(pthread_t, void**, const timespec*);

Next<MutexWait> next_mutex_clocklock("pthread_mutex_clocklock");
Next<LockWait> next_clockrdlock("pthread_rwlock_clockrdlock");
Next<LockWait> next_clockwrlock("pthread_rwlock_clockwrlock");
Next<SemaphoreWait> next_sem_clockwait("sem_clockwait");
Next<ClockJoin> next_clockjoin("pthread_clockjoin_np");

constexpr long kSecond = 1'000'000'000;

bool is_taken(int result) {
    return result == 0 || result == EOWNERDEAD;
}

std::int64_t now(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<std::int64_t>(time.tv_sec) * kSecond + time.tv_nsec;
}

} // namespace

PYTHON_TSAN_SHIM int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* limit) {
    const auto lock = [&] { return next_mutex_clocklock(mutex, clock, limit); };
    if (__interceptor_pthread_mutex_clocklock != nullptr || !is_on(Group::pthread)) {
        return lock();
    }
    return try_lock(mutex, 0, lock, is_taken);
}

PYTHON_TSAN_SHIM int pthread_rwlock_clockrdlock(pthread_rwlock_t* mutex, clockid_t clock, const timespec* limit) {
    const auto lock = [&] { return next_clockrdlock(mutex, clock, limit); };
    if (__interceptor_pthread_rwlock_clockrdlock != nullptr || !is_on(Group::pthread)) {
        return lock();
    }
    return try_lock(mutex, kRead, lock, is_taken);
}

PYTHON_TSAN_SHIM int pthread_rwlock_clockwrlock(pthread_rwlock_t* mutex, clockid_t clock, const timespec* limit) {
    const auto lock = [&] { return next_clockwrlock(mutex, clock, limit); };
    if (__interceptor_pthread_rwlock_clockwrlock != nullptr || !is_on(Group::pthread)) {
        return lock();
    }
    return try_lock(mutex, 0, lock, is_taken);
}

PYTHON_TSAN_SHIM int sem_clockwait(sem_t* semaphore, clockid_t clock, const timespec* limit) {
    const int result = next_sem_clockwait(semaphore, clock, limit);
    if (result == 0 && __interceptor_sem_clockwait == nullptr && is_on(Group::pthread)) {
        acquire(semaphore); // the runtime's sem_post releases on it
    }
    return result;
}

/// The runtime knows pthread_timedjoin_np, whose limit is on another clock, which may be set meanwhile.
PYTHON_TSAN_SHIM int pthread_clockjoin_np(pthread_t thread, void** value, clockid_t clock, const timespec* limit) {
    const auto timed = reinterpret_cast<TimedJoin>(dlsym(RTLD_DEFAULT, "pthread_timedjoin_np"));
    if (__interceptor_pthread_clockjoin_np != nullptr || timed == nullptr || limit == nullptr ||
        !is_on(Group::pthread)) {
        return next_clockjoin(thread, value, clock, limit);
    }
    const std::int64_t end = static_cast<std::int64_t>(limit->tv_sec) * kSecond + limit->tv_nsec;
    for (;;) {
        const std::int64_t left = end - now(clock);
        const std::int64_t until = now(CLOCK_REALTIME) + left;
        const timespec converted{static_cast<time_t>(until / kSecond), static_cast<long>(until % kSecond)};
        const int result = timed(thread, value, &converted);
        if (result != ETIMEDOUT || now(clock) >= end) {
            return result;
        }
    }
}
