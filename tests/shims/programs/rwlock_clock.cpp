// pthread_rwlock_clockrdlock and pthread_rwlock_clockwrlock. The writer comes last: after a reader's unlock, the
// runtime may take what follows for a part of what was released.
#include "twin.hpp"

#include <pthread.h>
#include <thread>
#include <time.h>

int main() {
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    const auto work = [&] {
        timespec limit{};
        clock_gettime(CLOCK_MONOTONIC, &limit);
        limit.tv_sec += 60;
        if (pthread_rwlock_clockrdlock(&lock, CLOCK_MONOTONIC, &limit) == 0) {
            std::printf("%d\n", g_handed_over);
            pthread_rwlock_unlock(&lock);
        }
        if (pthread_rwlock_clockwrlock(&lock, CLOCK_MONOTONIC, &limit) == 0) {
            ++g_handed_over;
            pthread_rwlock_unlock(&lock);
        }
        race();
    };
    std::thread other(work);
    work();
    other.join();
    return end();
}
