// Semaphores of System V: one that hands over, and one whose zero is waited for.
#include "twin.hpp"

#include <sys/ipc.h>
#include <sys/sem.h>
#include <thread>

static void change(int set, unsigned short number, short by) {
    sembuf operation{number, by, 0};
    const timespec limit{60, 0};
    semtimedop(set, &operation, 1, &limit);
}

int main() {
    const int set = semget(IPC_PRIVATE, 2, 0600);
    if (set < 0) {
        std::printf("no semaphores of System V here\n");
        return 77;
    }
    semctl(set, 1, SETVAL, 1);
    std::thread giver([&] {
        ++g_handed_over;
        sembuf give{0, 1, 0};
        semop(set, &give, 1);
        change(set, 1, 0);
        ++g_handed_over;
        race();
    });
    change(set, 0, -1);
    ++g_handed_over;
    change(set, 1, -1);
    race();
    giver.join();
    semctl(set, 0, IPC_RMID);
    return end();
}
