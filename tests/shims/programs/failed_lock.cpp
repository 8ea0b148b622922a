// A timed lock that fails takes nothing: the holder's later writes are not ordered with the loser's.
#include "twin.hpp"

#include <chrono>
#include <mutex>
#include <thread>

int main() {
    std::timed_mutex mutex;
    mutex.lock();
    std::thread loser([&] {
        if (!mutex.try_lock_for(std::chrono::milliseconds(1))) {
            race();
        }
    });
    race();
    loser.join();
    ++g_handed_over;
    mutex.unlock();
    return end();
}
