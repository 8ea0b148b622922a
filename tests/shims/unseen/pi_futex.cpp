// A futex with priority inheritance: the kernel writes the word for the thread that waited.
#include "../programs/own_lock.hpp"

#include <atomic>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static std::atomic<int> word{0};

static int this_thread() {
    return static_cast<int>(syscall(SYS_gettid));
}

static void lock() {
    int free = 0;
    if (!word.compare_exchange_strong(free, this_thread(), std::memory_order_acquire)) {
        syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, nullptr, nullptr, 0);
    }
}

static void unlock() {
    usleep(100); // so that the other thread waits
    int thread = this_thread();
    if (!word.compare_exchange_strong(thread, 0, std::memory_order_release)) {
        syscall(SYS_futex, &word, FUTEX_UNLOCK_PI, 0, nullptr, nullptr, 0);
    }
}
