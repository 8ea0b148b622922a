// use of an invalid mutex (e.g. uninitialized or destroyed), and the unlock that cannot succeed after it
#include <pthread.h>

int main() {
    static pthread_mutex_t mutex;
    pthread_mutex_init(&mutex, nullptr);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    pthread_mutex_destroy(&mutex);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
}
