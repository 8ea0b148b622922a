// One thread loads an atomic shared pointer, then another one stores. With RACY, both write to what it points to, too.
#include <atomic>
#include <memory>
#include <thread>

static std::atomic<std::shared_ptr<int>> g_pointer{std::make_shared<int>(1)};
static std::atomic<bool> g_loaded; // relaxed: it makes the schedule, and no order

static void change(const std::shared_ptr<int>& pointer) {
#ifdef RACY
    ++*pointer;
#else
    (void)pointer;
#endif
}

int main() {
    std::thread other([] {
        while (!g_loaded.load(std::memory_order_relaxed)) {
        }
        const auto before = g_pointer.load();
        g_pointer.store(std::make_shared<int>(2));
        change(before);
    });
    const auto pointer = g_pointer.load();
    g_loaded.store(true, std::memory_order_relaxed);
    change(pointer);
    other.join();
}
