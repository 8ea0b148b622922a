// epoll_wait reports that a pipe is readable, and nothing reads from it.
#include "twin.hpp"

#include <sys/epoll.h>
#include <thread>
#include <unistd.h>

int main() {
    int ends[2];
    if (pipe(ends) != 0) {
        return 1;
    }
    const int epoll = epoll_create1(0);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &g_handed_over;
    epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
    std::thread giver([&] {
        ++g_handed_over;
        if (write(ends[1], "x", 1) == 1) {
            race();
        }
    });
    epoll_event ready{};
    if (epoll_wait(epoll, &ready, 1, 60'000) == 1) {
        ++*static_cast<int*>(ready.data.ptr);
    }
    race();
    giver.join();
    return end();
}
