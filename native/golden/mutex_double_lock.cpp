// double lock of a mutex: a second thread takes what the first still holds, which only a broken lock allows.
#include "mutex_interface.hpp"

#include <thread>

long g_mutex = 0;

void take() {
    annotated_lock(&g_mutex, 0);
}

int main() {
    __tsan_mutex_create(&g_mutex, 0);
    take();
    std::thread(take).join();
}
