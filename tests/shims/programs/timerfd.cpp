// A timer's descriptor: who reads it sees what was done before it was set.
#include "twin.hpp"

#include <cstdint>
#include <sys/timerfd.h>
#include <thread>
#include <unistd.h>

int main() {
    const int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    std::thread giver([&] {
        ++g_handed_over;
        itimerspec time{};
        time.it_value.tv_nsec = 1;
        timerfd_settime(timer, 0, &time, nullptr);
        race();
    });
    std::uint64_t times = 0;
    if (read(timer, &times, sizeof times) == sizeof times) {
        ++g_handed_over;
    }
    race();
    giver.join();
    return end();
}
