// A failed dlsym leaves its message behind, which the next dlsym frees. The runtimes call munmap or pipe to symbolize
// the report of a race: a shim that looks for the next of them only then would free that message as memory of the
// runtime.
#include "twin.hpp"

#include <atomic>
#include <dlfcn.h>
#include <thread>

static std::atomic<int> raced{0};

static void race_and_wait() {
    race();
    raced.fetch_add(1, std::memory_order_relaxed);
    while (raced.load(std::memory_order_relaxed) < 2) {
        std::this_thread::yield();
    }
}

int main() {
    g_handed_over = dlsym(RTLD_DEFAULT, "python_tsan_no_such_function") == nullptr ? 1 : 0;
    std::thread other(race_and_wait);
    race_and_wait();
    other.join();
    return end();
}
