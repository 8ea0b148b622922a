// The functions of <threads.h>, each as a call of the POSIX function with the same effect.
//
// glibc makes them of its internal names, so neither a sanitizer nor another preloaded library sees what they do:
// https://sourceware.org/git/?p=glibc.git;a=blob;f=nptl/mtx_lock.c;hb=glibc-2.36. Its types are those of pthreads under
// other names. A call whose result needs no conversion ends in a jump, so it is the program's in every stack; of these
// only mtx_lock can fail, where a recursive mutex was locked too often, and then its error is the POSIX function's.
//
// A program's own functions of these names, on types of its own, stay what they are. They may have more parameters: so
// what comes next is looked up when the program starts, because a search on the way to them would change the registers.
#pragma once

#include "next.hpp"
#include "raw.hpp"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <dlfcn.h>
#include <pthread.h>
#include <threads.h>

namespace preload::c11 {

/// Whether a path's last part is glibc's library; functions of threads are in another one up to glibc 2.33.
inline bool is_libc(const char* path) {
    const char* file = path;
    for (const char* each = path; *each != '\0'; ++each) {
        file = *each == '/' ? each + 1 : file;
    }
    return begins_with(file, "libc.so.") || begins_with(file, "libpthread.so.");
}

/// The next definition of such a function, and whether it is glibc's.
template <typename Function>
class Defined {
public:
    constexpr explicit Defined(const char* name) : next_(name) {}

    Function get() { return next_.get(); }

    bool is_of_libc() {
        if (owner_.load(std::memory_order_relaxed) == Owner::unknown) {
            find();
        }
        return owner_.load(std::memory_order_relaxed) == Owner::libc;
    }

private:
    enum class Owner : char { unknown, libc, other };

    [[gnu::noinline]] void find() {
        void* found = reinterpret_cast<void*>(get());
        Dl_info place{};
        const bool known = found != nullptr && dladdr(found, &place) != 0 && place.dli_fname != nullptr;
        owner_.store(known && is_libc(place.dli_fname) ? Owner::libc : Owner::other, std::memory_order_relaxed);
    }

    Next<Function> next_;
    std::atomic<Owner> owner_{Owner::unknown};
};

inline pthread_mutex_t* posix(mtx_t* mutex) {
    static_assert(sizeof *mutex == sizeof(pthread_mutex_t));
    return reinterpret_cast<pthread_mutex_t*>(mutex);
}

inline pthread_cond_t* posix(cnd_t* condition) {
    static_assert(sizeof *condition == sizeof(pthread_cond_t));
    return reinterpret_cast<pthread_cond_t*>(condition);
}

inline pthread_once_t* posix(once_flag* flag) {
    static_assert(sizeof *flag == sizeof(pthread_once_t));
    return reinterpret_cast<pthread_once_t*>(flag);
}

inline int status(int error) {
    switch (error) {
    case 0:
        return thrd_success;
    case ENOMEM:
        return thrd_nomem;
    case ETIMEDOUT:
        return thrd_timedout;
    case EBUSY:
        return thrd_busy;
    default:
        return thrd_error;
    }
}

inline int init(mtx_t* mutex, int type) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes,
                              (type & mtx_recursive) != 0 ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL);
    const int error = pthread_mutex_init(posix(mutex), &attributes);
    pthread_mutexattr_destroy(&attributes);
    return status(error);
}

/// The calling conventions leave a thread's int where its pointer would be, and glibc reads no more of it.
inline int create(thrd_t* thread, thrd_start_t start, void* argument) {
    const auto function = reinterpret_cast<void* (*)(void*)>(reinterpret_cast<void*>(start));
    return status(pthread_create(thread, nullptr, function, argument));
}

inline int join(thrd_t thread, int* result) {
    void* value = nullptr;
    const int error = pthread_join(thread, &value);
    if (error == 0 && result != nullptr) {
        *result = static_cast<int>(reinterpret_cast<std::intptr_t>(value));
    }
    return status(error);
}

} // namespace preload::c11

/// DEFINE(result, name, parameters, arguments, call) for each function.
#define PYTHON_TSAN_C11_THREADS(DEFINE)                                                                                \
    DEFINE(int, mtx_init, (mtx_t * mutex, int type), (mutex, type), init(mutex, type))                                 \
    DEFINE(void, mtx_destroy, (mtx_t * mutex), (mutex), (void)pthread_mutex_destroy(posix(mutex)))                     \
    DEFINE(int, mtx_lock, (mtx_t * mutex), (mutex), pthread_mutex_lock(posix(mutex)))                                  \
    DEFINE(int, mtx_trylock, (mtx_t * mutex), (mutex), status(pthread_mutex_trylock(posix(mutex))))                    \
    DEFINE(int, mtx_timedlock, (mtx_t * mutex, const timespec* end), (mutex, end),                                     \
           status(pthread_mutex_timedlock(posix(mutex), end)))                                                         \
    DEFINE(int, mtx_unlock, (mtx_t * mutex), (mutex), pthread_mutex_unlock(posix(mutex)))                              \
    DEFINE(int, cnd_init, (cnd_t * condition), (condition), pthread_cond_init(posix(condition), nullptr))              \
    DEFINE(void, cnd_destroy, (cnd_t * condition), (condition), (void)pthread_cond_destroy(posix(condition)))          \
    DEFINE(int, cnd_signal, (cnd_t * condition), (condition), pthread_cond_signal(posix(condition)))                   \
    DEFINE(int, cnd_broadcast, (cnd_t * condition), (condition), pthread_cond_broadcast(posix(condition)))             \
    DEFINE(int, cnd_wait, (cnd_t * condition, mtx_t * mutex), (condition, mutex),                                      \
           pthread_cond_wait(posix(condition), posix(mutex)))                                                          \
    DEFINE(int, cnd_timedwait, (cnd_t * condition, mtx_t * mutex, const timespec* end), (condition, mutex, end),       \
           status(pthread_cond_timedwait(posix(condition), posix(mutex), end)))                                        \
    DEFINE(void, call_once, (once_flag * flag, void (*routine)()), (flag, routine),                                    \
           (void)pthread_once(posix(flag), routine))                                                                   \
    DEFINE(int, thrd_create, (thrd_t * thread, thrd_start_t start, void* argument), (thread, start, argument),         \
           create(thread, start, argument))                                                                            \
    DEFINE(int, thrd_join, (thrd_t thread, int* result), (thread, result), join(thread, result))                       \
    DEFINE(int, thrd_detach, (thrd_t thread), (thread), status(pthread_detach(thread)))
