// Two threads take two reader-writer locks in different orders, each in its turn, and never hang. The argument says
// how: all as readers, or with something that can close the cycle.
#include <cstring>
#include <pthread.h>
#include <thread>

static pthread_rwlock_t first;
static pthread_rwlock_t second;
static pthread_barrier_t turn;

static int take(pthread_rwlock_t* lock, bool write) {
    return write ? pthread_rwlock_wrlock(lock) : pthread_rwlock_rdlock(lock);
}

static void take_both(pthread_rwlock_t* one, pthread_rwlock_t* other, bool write) {
    take(one, write);
    take(other, write);
    pthread_rwlock_unlock(other);
    pthread_rwlock_unlock(one);
}

int main(int count, char** arguments) {
    const auto is = [&](const char* word) { return count > 1 && std::strcmp(arguments[1], word) == 0; };
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    if (is("writers-first")) {
        pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    }
    pthread_rwlock_init(&first, &attributes);
    pthread_rwlock_init(&second, &attributes);
    pthread_barrier_init(&turn, nullptr, 2);
    std::thread one([&] {
        take_both(&first, &second, is("writers"));
        pthread_barrier_wait(&turn);
        pthread_barrier_wait(&turn);
        if (is("writers-later")) { // the runtime has this order already, and reports it no second time
            take_both(&first, &second, true);
        }
    });
    std::thread other([&] {
        pthread_barrier_wait(&turn);
        take_both(&second, &first, is("writers"));
        if (is("writers-later")) {
            take_both(&second, &first, true);
        }
        pthread_barrier_wait(&turn);
    });
    one.join();
    other.join();
    return 0;
}
