// A thread that is cancelled while it waits for a condition: its cleanup handler has the mutex.
#include "twin.hpp"

#include <pthread.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void clean(void*) {
    ++g_handed_over;
    pthread_mutex_unlock(&mutex);
    race();
}

static void* run(void*) {
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(clean, nullptr);
    for (;;) {
        pthread_cond_wait(&condition, &mutex);
    }
    pthread_cleanup_pop(0);
    return nullptr;
}

int main() {
    pthread_t thread{};
    pthread_create(&thread, nullptr, run, nullptr);
    usleep(20'000);
    pthread_mutex_lock(&mutex);
    ++g_handed_over;
    pthread_mutex_unlock(&mutex);
    pthread_cancel(thread);
    race();
    pthread_join(thread, nullptr);
    ++g_handed_over;
    return end();
}
