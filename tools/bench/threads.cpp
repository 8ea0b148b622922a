// Threads that allocate, sort and count under a mutex: nothing of it needs a shim.
#include <algorithm>
#include <cstdio>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

int main() {
    std::mutex mutex;
    long total = 0;
    std::vector<std::thread> threads;
    for (unsigned number = 0; number < 4; ++number) {
        threads.emplace_back([&mutex, &total, number] {
            std::minstd_rand random(number);
            for (int turn = 0; turn < 400; ++turn) {
                std::vector<unsigned> values(2000);
                std::generate(values.begin(), values.end(), random);
                std::sort(values.begin(), values.end());
                for (const unsigned value : values) {
                    const std::lock_guard<std::mutex> lock(mutex);
                    total += static_cast<long>(value % 7);
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    std::printf("%ld\n", total);
}
