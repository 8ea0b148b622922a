// sem_clockwait, for which no runtime has an interceptor.
#include "twin.hpp"

#include <semaphore.h>
#include <thread>
#include <time.h>

int main() {
    sem_t ready;
    sem_init(&ready, 0, 0);
    std::thread giver([&] {
        ++g_handed_over;
        sem_post(&ready);
        race();
    });
    timespec limit{};
    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += 60;
    if (sem_clockwait(&ready, CLOCK_MONOTONIC, &limit) == 0) {
        ++g_handed_over;
    }
    race();
    giver.join();
    return end();
}
