// A thread waits for a signal that another sends to the process.
#include "twin.hpp"

#include <csignal>
#include <thread>
#include <unistd.h>

int main() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::thread giver([&] {
        ++g_handed_over;
        kill(getpid(), SIGUSR1);
        race();
    });
    int number = 0;
    if (sigwait(&signals, &number) == 0 && number == SIGUSR1) {
        ++g_handed_over;
    }
    race();
    giver.join();
    return end();
}
