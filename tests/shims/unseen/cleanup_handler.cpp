// pthread_cancel as the only order between a thread and the cleanup handler of another.
#include "../programs/twin.hpp"

#include <pthread.h>
#include <unistd.h>

static void clean(void*) {
    ++g_handed_over;
    race();
}

static void* run(void*) {
    pthread_cleanup_push(clean, nullptr);
    for (;;) {
        pause();
    }
    pthread_cleanup_pop(0);
    return nullptr;
}

int main() {
    pthread_t thread{};
    pthread_create(&thread, nullptr, run, nullptr);
    usleep(20'000);
    ++g_handed_over;
    pthread_cancel(thread);
    race();
    pthread_join(thread, nullptr);
    return end();
}
