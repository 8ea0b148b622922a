// What C++20 waits by: atomics, latches, barriers, semaphores and requests to stop.
#include "twin.hpp"

#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <semaphore>
#include <stop_token>
#include <thread>

int main() {
    std::atomic<long> number{0};
    std::atomic_flag flag = ATOMIC_FLAG_INIT;
    std::latch latch(1);
    std::counting_semaphore<2> semaphore(0);
    std::barrier barrier(2, []() noexcept { ++g_handed_over; });
    std::jthread giver([&](const std::stop_token& stop) {
        ++g_handed_over;
        number = 1;
        number.notify_one();
        flag.wait(false);
        ++g_handed_over;
        latch.count_down();
        semaphore.acquire();
        ++g_handed_over;
        barrier.arrive_and_wait();
        barrier.arrive_and_wait();
        std::mutex mutex;
        std::condition_variable_any condition;
        std::unique_lock lock(mutex);
        condition.wait(lock, stop, [] { return false; });
        ++g_handed_over;
        race();
    });
    number.wait(0);
    ++g_handed_over;
    flag.test_and_set();
    flag.notify_all();
    latch.wait();
    ++g_handed_over;
    semaphore.release();
    barrier.arrive_and_wait();
    ++g_handed_over;
    barrier.arrive_and_wait();
    ++g_handed_over;
    giver.request_stop();
    race();
    giver.join();
    return end();
}
