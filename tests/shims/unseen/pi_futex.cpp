// A futex with priority inheritance: the kernel writes the word for the thread that waited.
#include "../programs/twin.hpp"

#include <atomic>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

static std::atomic<int> word{0};

static void lock(int thread) {
    int free = 0;
    if (!word.compare_exchange_strong(free, thread, std::memory_order_acquire)) {
        syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, nullptr, nullptr, 0);
    }
}

static void unlock(int thread) {
    if (!word.compare_exchange_strong(thread, 0, std::memory_order_release)) {
        syscall(SYS_futex, &word, FUTEX_UNLOCK_PI, 0, nullptr, nullptr, 0);
    }
}

static void work() {
    const int thread = static_cast<int>(syscall(SYS_gettid));
    for (int times = 0; times < 100; ++times) {
        lock(thread);
        ++g_handed_over;
        usleep(100);
        unlock(thread);
    }
    race();
}

int main() {
    std::thread other(work);
    work();
    other.join();
    return end();
}
