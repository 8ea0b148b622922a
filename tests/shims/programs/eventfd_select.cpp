// An event descriptor, by the functions of the C library, and select, which waits for it without reading.
#include "twin.hpp"

#include <sys/eventfd.h>
#include <sys/select.h>
#include <thread>
#include <unistd.h>

int main() {
    const int event = eventfd(0, EFD_NONBLOCK);
    const int answer = eventfd(0, 0);
    std::thread other([&] {
        fd_set waited;
        FD_ZERO(&waited);
        FD_SET(event, &waited);
        if (select(event + 1, &waited, nullptr, nullptr, nullptr) == 1) {
            ++g_handed_over;
        }
        race();
        eventfd_write(answer, 1);
    });
    ++g_handed_over;
    eventfd_write(event, 1);
    race();
    eventfd_t value = 0;
    eventfd_read(answer, &value);
    ++g_handed_over;
    other.join();
    close(event);
    close(answer);
    return end();
}
