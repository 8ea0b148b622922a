// Two channels of each kind that have nothing to do with each other: what passes through one orders nothing on the
// other.
#include "twin.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

static void pass(const int* from, const int* to) {
    if (write(to[0], "x", 1) == 1) {
        pollfd polled{from[1], POLLIN, 0};
        poll(&polled, 1, 60'000);
    }
}

int main() {
    int one[2];
    int other[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, one) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, other) != 0) {
        return 1;
    }
    std::thread giver([&] {
        race();
        pass(one, one);
    });
    pass(other, other);
    race();
    giver.join();
    return end();
}
