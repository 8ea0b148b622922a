// A thread waits for a signal that another sends to it, with a value.
#include "twin.hpp"

#include <csignal>
#include <pthread.h>
#include <thread>

int main() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::thread giver([waiter = pthread_self()] {
        ++g_handed_over;
        pthread_sigqueue(waiter, SIGRTMIN, sigval{});
        race();
    });
    siginfo_t details;
    if (sigwaitinfo(&signals, &details) == SIGRTMIN) {
        ++g_handed_over;
    }
    race();
    giver.join();
    return end();
}
