// destroy of a locked mutex
#include <pthread.h>

void tear_down(pthread_mutex_t* mutex) {
    pthread_mutex_destroy(mutex);
}

int main() {
    pthread_mutex_t mutex;
    pthread_mutex_init(&mutex, nullptr);
    pthread_mutex_lock(&mutex);
    tear_down(&mutex);
}
