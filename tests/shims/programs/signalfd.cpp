// A signal that is read from a descriptor.
#include "twin.hpp"

#include <csignal>
#include <sys/signalfd.h>
#include <thread>
#include <unistd.h>

int main() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const int descriptor = signalfd(-1, &signals, 0);
    std::thread giver([&] {
        ++g_handed_over;
        kill(getpid(), SIGUSR1);
        race();
    });
    signalfd_siginfo details{};
    if (read(descriptor, &details, sizeof details) == sizeof details) {
        ++g_handed_over;
    }
    race();
    giver.join();
    return end();
}
