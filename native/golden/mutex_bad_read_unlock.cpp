// read unlock of a write locked mutex
#include "mutex_interface.hpp"

int main() {
    long mutex = 0;
    __tsan_mutex_create(&mutex, 0);
    annotated_lock(&mutex, 0);
    annotated_unlock(&mutex, kReadLock);
}
