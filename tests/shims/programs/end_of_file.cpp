// The end of a stream: the writer closes its end, and a read returns 0.
#include "twin.hpp"

#include <thread>
#include <unistd.h>

int main() {
    int ends[2];
    if (pipe(ends) != 0) {
        return 1;
    }
    std::thread giver([&] {
        ++g_handed_over;
        close(ends[1]);
        race();
    });
    char byte = 0;
    if (read(ends[0], &byte, 1) == 0) {
        ++g_handed_over;
    }
    race();
    giver.join();
    return end();
}
