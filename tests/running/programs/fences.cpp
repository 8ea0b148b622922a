// A fence orders the hand-over, and the runtime reports a race.
#include <atomic>
#include <thread>

static std::atomic<bool> ready{false};
static int data = 0;

int main() {
    std::thread giver([] {
        data = 1;
        std::atomic_thread_fence(std::memory_order_release);
        ready.store(true, std::memory_order_relaxed);
    });
    while (!ready.load(std::memory_order_relaxed)) {
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    ++data;
    giver.join();
    return 0;
}
