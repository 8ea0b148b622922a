// A robust mutex whose owner ends: the next owner sees what it did.
#include "../programs/twin.hpp"

#include <atomic>
#include <cerrno>
#include <pthread.h>

static pthread_mutex_t mutex;
static std::atomic<bool> is_owned{false};

static void* own(void*) {
    pthread_mutex_lock(&mutex);
    ++g_handed_over;
    race();
    is_owned.store(true, std::memory_order_relaxed); // the runtime may miss accesses at the very same time
    return nullptr;
}

int main() {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &attributes);
    pthread_t owner{};
    pthread_create(&owner, nullptr, own, nullptr);
    while (!is_owned.load(std::memory_order_relaxed)) {
    }
    race();
    if (pthread_mutex_lock(&mutex) == EOWNERDEAD) {
        ++g_handed_over;
        pthread_mutex_consistent(&mutex);
    }
    pthread_mutex_unlock(&mutex);
    pthread_join(owner, nullptr);
    pthread_mutex_destroy(&mutex);
    return end();
}
