// What all shims share: the next definition of a function, and the sanitizer's annotations.
//
// A shim defines a function whose synchronization the sanitizer does not see, calls the next definition, and reports
// what it does. GCC's runtime is a shared library, so a call goes to the shim, the runtime, the C library. Clang's
// is inside the program: what it intercepts goes there first and reaches a shim as its next definition. So a shim for
// a function that the runtime intercepts itself must report nothing.
//
// Thread rules: shims run in any thread, before main and after exit. They allocate nothing and keep no lock.
#pragma once

#include "../common/next.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <dlfcn.h>

#define PYTHON_TSAN_SHIM extern "C" __attribute__((visibility("default")))
#define PYTHON_TSAN_CALLER __builtin_return_address(0)

extern "C" {
__attribute__((weak)) void __tsan_acquire(void* address);
__attribute__((weak)) void __tsan_release(void* address);
__attribute__((weak)) void __tsan_mutex_destroy(void* mutex, unsigned flags);
__attribute__((weak)) void __tsan_mutex_pre_lock(void* mutex, unsigned flags);
__attribute__((weak)) void __tsan_mutex_post_lock(void* mutex, unsigned flags, int recursion);
__attribute__((weak)) int __tsan_mutex_pre_unlock(void* mutex, unsigned flags);
__attribute__((weak)) void __tsan_mutex_post_unlock(void* mutex, unsigned flags);
}

namespace python_tsan::shims {

/// Flags of sanitizer/tsan_interface.h.
enum Flag : unsigned {
    kStatic = 1U << 0, // has no constructor that the sanitizer saw
    kReentrant = 1U << 1,
    kRead = 1U << 3,
    kTry = 1U << 4,
    kFailed = 1U << 5,
    kWhole = 1U << 7, // unlocks however often it was locked, and returns that number
};

/// One bit for each group of shims: which are on, and which a process has used.
enum class Group : unsigned { pthread, descriptors, signals, glib, qt, absl, exceptions, tbb, ipc, timers, count };

/// Whether the process has a sanitizer with the annotations, and the shims are not switched off.
bool is_enabled();

/// Whether the process has a sanitizer with the annotations, and the group is not switched off. Counts as a use.
bool is_on(Group group);

/// The next definition of a function; without one in the linker's order, any.
void* find_next(const char* name);

template <typename Function>
using Next = preload::Next<Function, find_next>;

/// The loaded object that an address of code belongs to, as a link_map. Null if it belongs to none.
const void* object_of(const void* code);

/// A function by name, as each object that calls it would find it without the shims: a process may have several copies
/// of one library, which must not be mixed.
class Definitions {
public:
    constexpr explicit Definitions(const char* name) : name_(name) {}

    /// Null without one.
    void* find(const void* caller);

private:
    static constexpr std::size_t kObjects = 64; // of more, nothing is kept

    struct Known {
        std::atomic<const void*> object{nullptr};
        std::atomic<void*> function{nullptr};
    };

    const char* name_;
    Known known_[kObjects];
};

/// The next definition of a function, for each object that calls it.
template <typename Function>
class CallersNext {
public:
    constexpr explicit CallersNext(const char* name) : found_(name) {}

    Function of(const void* caller) { return reinterpret_cast<Function>(found_.find(caller)); }

private:
    Definitions found_;
};

inline void acquire(const void* address) {
    __tsan_acquire(const_cast<void*>(address));
}

inline void release(const void* address) {
    __tsan_release(const_cast<void*>(address));
}

/// For a token that may be missing.
inline void acquire_if(const void* token) {
    if (token != nullptr) {
        acquire(token);
    }
}

inline void release_if(const void* token) {
    if (token != nullptr) {
        release(token);
    }
}

inline void locked(void* mutex, unsigned flags) {
    __tsan_mutex_pre_lock(mutex, flags);
    __tsan_mutex_post_lock(mutex, flags, 0);
}

inline void unlocked(void* mutex, unsigned flags) {
    __tsan_mutex_pre_unlock(mutex, flags);
    __tsan_mutex_post_unlock(mutex, flags);
}

/// A token for each of what has no address of its own, by a number above 0.
template <std::size_t kMost>
class Tokens {
public:
    /// Null when there are too many.
    void* of(std::uint64_t number) {
        for (std::size_t index = 0; index < kMost; ++index) {
            std::uint64_t known = 0;
            if (numbers_[index].compare_exchange_strong(known, number) || known == number) {
                return tokens_[index];
            }
        }
        return nullptr;
    }

private:
    std::atomic<std::uint64_t> numbers_[kMost];
    alignas(8) char tokens_[kMost][8];
};

/// Locks by `lock()`, which may fail; `is_taken` says of its result whether it did not.
template <typename Lock, typename Test>
auto try_lock(void* mutex, unsigned flags, Lock lock, Test is_taken) {
    __tsan_mutex_pre_lock(mutex, flags | kTry);
    const auto result = lock();
    __tsan_mutex_post_lock(mutex, flags | kTry | (is_taken(result) ? 0U : kFailed), 0);
    return result;
}

} // namespace python_tsan::shims
