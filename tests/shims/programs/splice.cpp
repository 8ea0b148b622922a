// splice passes data from one pipe to another: who reads the second sees what was done before the write to the first.
#include "twin.hpp"

#include <fcntl.h>
#include <thread>
#include <unistd.h>

int main() {
    int first[2];
    int second[2];
    if (pipe(first) != 0 || pipe(second) != 0) {
        return 1;
    }
    std::thread giver([&] {
        ++g_handed_over;
        if (write(first[1], "x", 1) == 1) {
            race();
        }
    });
    std::thread middle([&] {
        if (splice(first[0], nullptr, second[1], nullptr, 1, 0) != 1) {
            std::printf("no splice\n");
        }
    });
    char byte = 0;
    if (read(second[0], &byte, 1) == 1) {
        ++g_handed_over;
    }
    race();
    giver.join();
    middle.join();
    return end();
}
