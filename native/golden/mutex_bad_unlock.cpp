// unlock of an unlocked mutex (or by a wrong thread)
#include <pthread.h>

int main() {
    pthread_mutex_t mutex;
    pthread_mutex_init(&mutex, nullptr);
    pthread_mutex_unlock(&mutex);
    pthread_mutex_destroy(&mutex);
}
