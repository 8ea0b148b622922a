// std::shared_timed_mutex: timed writers and readers use pthread_rwlock_clockwrlock and pthread_rwlock_clockrdlock.
#include "twin.hpp"

#include <chrono>
#include <shared_mutex>
#include <thread>

int main() {
    std::shared_timed_mutex mutex;
    const auto write = [&] {
        if (mutex.try_lock_for(std::chrono::minutes(1))) {
            ++g_handed_over;
            mutex.unlock();
        }
        race();
    };
    const auto read = [&] {
        int seen = 0;
        if (mutex.try_lock_shared_for(std::chrono::minutes(1))) {
            seen = g_handed_over;
            mutex.unlock_shared();
        }
        return seen;
    };
    std::thread reader([&] {
        for (int turn = 0; turn < 100; ++turn) {
            read();
        }
    });
    std::thread writer(write);
    write();
    writer.join();
    reader.join();
    return end();
}
