// pthread_clockjoin_np, for which no runtime has an interceptor.
#include "twin.hpp"

#include <pthread.h>
#include <time.h>

static void* work(void*) {
    ++g_handed_over;
    race();
    return nullptr;
}

int main() {
    pthread_t thread;
    pthread_create(&thread, nullptr, work, nullptr);
    race();
    timespec limit{};
    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += 60;
    if (pthread_clockjoin_np(thread, nullptr, CLOCK_MONOTONIC, &limit) == 0) {
        ++g_handed_over;
    }
    return end();
}
