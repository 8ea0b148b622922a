// What the recorder needs of an operating system, without a call that a sanitizer or another preloaded library
// intercepts: such a call could crash before the sanitizer has started, or make findings of its own.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <sys/syscall.h>

namespace lock_recorder {

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
#error "the recorder is written for x86-64 and AArch64"
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

constexpr std::uint64_t mix(std::uint64_t seed, std::uint64_t value) {
    const auto mixed = (seed ^ value) * 0x9E3779B97F4A7C15U;
    return mixed ^ (mixed >> 32);
}

/// Held for a few microseconds at most. Not seen by the recorder's own hooks.
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

/// A hash table of row numbers with a fixed size. There must be more slots than rows.
class Table {
public:
    /// False without memory; the table then finds nothing.
    bool reserve(std::uint64_t rows) {
        std::uint64_t slots = 1024;
        while (slots < rows * 3 / 2) {
            slots *= 2;
        }
        mask_ = slots - 1;
        slots_ = static_cast<std::uint32_t*>(raw_memory(slots * sizeof *slots_));
        return slots_ != nullptr;
    }

    void release() {
        if (slots_ != nullptr) {
            raw_release(slots_, (mask_ + 1) * sizeof *slots_);
            slots_ = nullptr;
        }
    }

    /// The row for which `matches(row)` is true, else the result of `make()`, which is stored unless it is 0.
    template <typename Matches, typename Make>
    std::uint32_t find_or_make(std::uint64_t hash, Matches matches, Make make) {
        if (slots_ == nullptr) {
            return 0;
        }
        auto slot = (hash ^ (hash >> 29)) & mask_;
        for (; slots_[slot] != 0; slot = (slot + 1) & mask_) {
            if (matches(slots_[slot])) {
                return slots_[slot];
            }
        }
        const std::uint32_t row = make();
        if (row != 0) {
            slots_[slot] = row;
        }
        return row;
    }

private:
    std::uint32_t* slots_;
    std::uint64_t mask_;
};

} // namespace lock_recorder
