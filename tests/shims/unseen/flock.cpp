// Two threads lock one file, each by a descriptor of its own.
#include "../programs/twin.hpp"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

int main() {
    char name[] = "/tmp/python-tsan-XXXXXX";
    const int mine = mkstemp(name), others = open(name, O_RDWR | O_CLOEXEC);
    unlink(name);
    flock(mine, LOCK_EX);
    std::thread giver([&] {
        flock(others, LOCK_EX);
        ++g_handed_over;
        flock(others, LOCK_UN);
        race();
    });
    ++g_handed_over;
    flock(mine, LOCK_UN);
    race();
    giver.join();
    return end();
}
