// A thread lets a signal in and waits for its handler; another thread sends it.
#include "twin.hpp"

#include <atomic>
#include <csignal>
#include <pthread.h>
#include <thread>

int main() {
    static std::atomic<bool> came{false};
    struct sigaction action{};
    action.sa_handler = [](int) { came.store(true, std::memory_order_relaxed); };
    sigaction(SIGUSR1, &action, nullptr);
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    std::thread giver([waiter = pthread_self()] {
        ++g_handed_over;
        pthread_kill(waiter, SIGUSR1);
        race();
    });
    while (!came.load(std::memory_order_relaxed)) {
        sigsuspend(&before);
    }
    ++g_handed_over;
    race();
    giver.join();
    return end();
}
