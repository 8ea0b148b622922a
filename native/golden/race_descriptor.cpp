// data race: a file descriptor closed by one thread while another uses it.
#include "ordered.hpp"

#include <thread>
#include <unistd.h>

int main() {
    Turn turn;
    int ends[2];
    if (pipe(ends) != 0) {
        return 1;
    }
    std::thread writer([&] {
        const char letter = 'x';
        if (write(ends[1], &letter, 1) != 1) {
            _exit(2);
        }
        turn.first();
    });
    turn.second();
    close(ends[1]);
    writer.join();
}
