// select and pselect report that a descriptor is readable, and nothing reads from it; the datagrams are sent by
// address.
#include "twin.hpp"

#include <sys/select.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

static bool is_ready(int descriptor, bool by_pselect) {
    fd_set in;
    FD_ZERO(&in);
    FD_SET(descriptor, &in);
    if (by_pselect) {
        const timespec limit{60, 0};
        return pselect(descriptor + 1, &in, nullptr, nullptr, &limit, nullptr) == 1;
    }
    timeval limit{60, 0};
    return select(descriptor + 1, &in, nullptr, nullptr, &limit) == 1;
}

int main() {
    int ends[2];
    int pair[2];
    if (pipe(ends) != 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0) {
        return 1;
    }
    std::thread giver([&] {
        ++g_handed_over;
        if (write(ends[1], "x", 1) != 1 || !is_ready(pair[1], true)) {
            return;
        }
        ++g_handed_over;
        race();
    });
    if (is_ready(ends[0], false)) {
        ++g_handed_over;
    }
    if (sendto(pair[0], "x", 1, 0, nullptr, 0) == 1) {
        race();
    }
    giver.join();
    return end();
}
