// What a preloaded library needs of an operating system, without a call that a sanitizer or another preloaded library
// intercepts: such a call could crash before the sanitizer has started, or make findings of its own.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <sys/syscall.h>

namespace preload {

/// A system call that leaves errno alone. Returns the negative error code on failure.
inline long raw_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#else
#error "this is written for x86-64 and AArch64"
#endif
}

template <typename Pointer>
long as_long(Pointer* pointer) {
    return static_cast<long>(reinterpret_cast<std::uintptr_t>(pointer));
}

/// Zeroed memory that the kernel allocates on use; null on failure.
void* raw_memory(std::uint64_t bytes);
void raw_release(void* memory, std::uint64_t bytes);
std::uint64_t raw_monotonic();
std::uint32_t raw_thread_id();

inline std::size_t length_of(const char* text) {
    std::size_t length = 0;
    while (text[length] != '\0') {
        ++length;
    }
    return length;
}

inline bool same_text(const char* one, const char* other) {
    while (*one != '\0' && *one == *other) {
        ++one;
        ++other;
    }
    return *one == *other;
}

inline bool begins_with(const char* text, const char* beginning) {
    while (*beginning != '\0' && *text == *beginning) {
        ++text;
        ++beginning;
    }
    return *beginning == '\0';
}

inline void copy_bytes(void* to, const void* from, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        static_cast<char*>(to)[i] = static_cast<const char*>(from)[i];
    }
}

/// Held for a few microseconds at most. Not seen by a library's own hooks.
class Latch {
public:
    void lock();
    void unlock() { busy_.store(false, std::memory_order_release); }

private:
    std::atomic<bool> busy_;
};

class Latched {
public:
    explicit Latched(Latch& latch) : latch_(latch) { latch.lock(); }
    ~Latched() { latch_.unlock(); }
    Latched(const Latched&) = delete;
    Latched& operator=(const Latched&) = delete;

private:
    Latch& latch_;
};

} // namespace preload
