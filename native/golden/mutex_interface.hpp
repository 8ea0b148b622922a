// The runtime's interface for locks it cannot intercept, declared here because GCC ships no header for it.
#pragma once

extern "C" {
void __tsan_mutex_create(void* address, unsigned flags);
void __tsan_mutex_destroy(void* address, unsigned flags);
void __tsan_mutex_pre_lock(void* address, unsigned flags);
void __tsan_mutex_post_lock(void* address, unsigned flags, int recursion);
int __tsan_mutex_pre_unlock(void* address, unsigned flags);
void __tsan_mutex_post_unlock(void* address, unsigned flags);
}

constexpr unsigned kReadLock = 1U << 3;

inline void annotated_lock(void* address, unsigned flags) {
    __tsan_mutex_pre_lock(address, flags);
    __tsan_mutex_post_lock(address, flags, 1);
}

inline void annotated_unlock(void* address, unsigned flags) {
    __tsan_mutex_pre_unlock(address, flags);
    __tsan_mutex_post_unlock(address, flags);
}
