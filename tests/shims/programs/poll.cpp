// poll reports that a descriptor is readable, and nothing reads from it: an event descriptor, and one of a socket pair.
#include "twin.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

static bool is_ready(int descriptor) {
    pollfd polled{descriptor, POLLIN, 0};
    return poll(&polled, 1, 60'000) == 1;
}

int main() {
    const int event = eventfd(0, 0);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
        return 1;
    }
    std::thread giver([&] {
        ++g_handed_over;
        const std::uint64_t one = 1;
        if (write(event, &one, sizeof one) != sizeof one || !is_ready(pair[1])) {
            return;
        }
        ++g_handed_over;
        race();
    });
    if (is_ready(event)) {
        ++g_handed_over;
    }
    if (write(pair[0], "x", 1) == 1) {
        race();
    }
    giver.join();
    return end();
}
