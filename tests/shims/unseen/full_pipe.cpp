// A thread writes to a pipe that is full, and goes on when another has read from it.
#include "../programs/twin.hpp"

#include <thread>
#include <unistd.h>
#include <vector>

int main() {
    int ends[2];
    std::vector<char> room(65536); // of a pipe
    if (pipe(ends) != 0 || write(ends[1], room.data(), room.size()) != static_cast<ssize_t>(room.size())) {
        return 1;
    }
    std::thread giver([&] {
        ++g_handed_over;
        if (read(ends[0], room.data(), room.size()) > 0) {
            race();
        }
    });
    if (write(ends[1], "", 1) == 1) {
        ++g_handed_over;
    }
    race();
    giver.join();
    return end();
}
