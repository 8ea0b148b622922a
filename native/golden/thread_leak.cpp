// thread leak: three threads from one call site that are never joined.
#include <pthread.h>
#include <unistd.h>

void* idle(void* /*unused*/) {
    return nullptr;
}

int main() {
    for (int number = 0; number < 3; ++number) {
        pthread_t thread;
        pthread_create(&thread, nullptr, idle, nullptr);
    }
    usleep(200000);
}
