// A lock of the program's own, by atomics and futexes: the compiler instruments what orders it.
#include "own_lock.hpp"

#include <atomic>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static std::atomic<int> word{0};

static void lock() {
    int free = 0;
    while (!word.compare_exchange_strong(free, 1, std::memory_order_acquire)) {
        syscall(SYS_futex, &word, FUTEX_WAIT, 1, nullptr, nullptr, 0);
        free = 0;
    }
}

static void unlock() {
    word.store(0, std::memory_order_release);
    syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}
