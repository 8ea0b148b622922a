// std::timed_mutex and std::recursive_timed_mutex: the C++ library locks them by pthread_mutex_clocklock.
#include "twin.hpp"

#include <chrono>
#include <mutex>
#include <thread>

int main() {
    std::timed_mutex mutex;
    std::recursive_timed_mutex recursive;
    int under_recursive = 0;
    const auto work = [&] {
        if (mutex.try_lock_for(std::chrono::minutes(1))) {
            ++g_handed_over;
            mutex.unlock();
        }
        if (recursive.try_lock_for(std::chrono::minutes(1))) {
            std::lock_guard<std::recursive_timed_mutex> again(recursive);
            ++under_recursive;
            recursive.unlock();
        }
        race();
    };
    std::thread other(work);
    work();
    other.join();
    return end();
}
