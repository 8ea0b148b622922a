// Two threads that take from one semaphore of System V: nothing orders what each did before.
#include "twin.hpp"

#include <sys/ipc.h>
#include <sys/sem.h>
#include <thread>

int main() {
    const int set = semget(IPC_PRIVATE, 1, 0600);
    if (set < 0) {
        std::printf("no semaphores of System V here\n");
        return 77;
    }
    semctl(set, 0, SETVAL, 2);
    const auto take = [=] {
        race();
        sembuf operation{0, -1, 0};
        semop(set, &operation, 1);
    };
    std::thread one(take);
    std::thread other(take);
    one.join();
    other.join();
    semctl(set, 0, IPC_RMID);
    return end();
}
