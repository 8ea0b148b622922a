// Data under the lock of a FILE, which may be taken again.
#include "twin.hpp"

#include <thread>

static void add(FILE* file) {
    flockfile(file);
    if (ftrylockfile(file) == 0) {
        ++g_handed_over;
        std::fputs("x", file); // takes it a third time
        funlockfile(file);
    }
    ++g_handed_over;
    funlockfile(file);
    race();
}

int main() {
    FILE* file = std::tmpfile();
    if (file == nullptr) {
        return 1;
    }
    std::thread other(add, file);
    add(file);
    other.join();
    std::fclose(file);
    return end();
}
