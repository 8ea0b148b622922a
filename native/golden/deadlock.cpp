// lock-order-inversion (potential deadlock): three mutexes taken in a cycle by two threads, sequentially.
#include <mutex>
#include <thread>

std::mutex g_left, g_middle, g_right;

void take(std::mutex& outer, std::mutex& inner) {
    std::lock_guard<std::mutex> first(outer);
    std::lock_guard<std::mutex> second(inner);
}

int main() {
    std::thread([] { take(g_left, g_middle); }).join();
    std::thread([] { take(g_middle, g_right); }).join();
    take(g_right, g_left);
}
