// signal handler spoils errno: sent by another thread, so that it arrives at no particular call.
#include <cerrno>
#include <csignal>
#include <pthread.h>
#include <thread>

volatile int g_done = 0;

void handler(int /*number*/) {
    errno = 7;
    __atomic_store_n(&g_done, 1, __ATOMIC_RELAXED);
}

int main() {
    struct sigaction action = {};
    action.sa_handler = handler;
    sigaction(SIGPROF, &action, nullptr);
    const pthread_t self = pthread_self();
    std::thread sender([self] { pthread_kill(self, SIGPROF); });
    while (__atomic_load_n(&g_done, __ATOMIC_RELAXED) == 0) {
    }
    sender.join();
}
