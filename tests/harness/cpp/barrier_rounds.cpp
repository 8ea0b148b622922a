// Four threads meet 200 times; in each round every thread must see what all wrote in it. Exit code 0 if so.

#include <python_tsan/barrier.hpp>

#include <atomic>
#include <iostream>
#include <stdexcept>
#include <thread>
#include <vector>

static bool refuses(unsigned count) {
    try {
        const python_tsan::Barrier barrier(count);
        return false;
    } catch (const std::invalid_argument&) {
        return true;
    }
}

int main() {
    constexpr unsigned count = 4;
    constexpr unsigned rounds = 200;
    python_tsan::Barrier barrier(count);
    std::atomic<unsigned> arrived{0};
    std::atomic<bool> early{false};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < count; ++i) {
        threads.emplace_back([&] {
            for (unsigned round = 1; round <= rounds; ++round) {
                ++arrived;
                barrier.wait();
                if (arrived < round * count) {
                    early = true;
                }
                barrier.wait();
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    std::cout << (PYTHON_TSAN_INSTRUMENTED ? "instrumented" : "plain") << '\n';
    return early || !refuses(0) || !refuses(1023) || refuses(1022) ? 1 : 0;
}
