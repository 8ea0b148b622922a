// One file that is mapped twice in turn: no memory has two addresses at a time.
#include <sys/mman.h>
#include <unistd.h>

int main() {
    const int file = memfd_create("again", 0);
    if (ftruncate(file, 4096) != 0) {
        return 1;
    }
    for (int turn = 0; turn < 2; ++turn) {
        auto* place = static_cast<int*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
        ++*place;
        munmap(place, 4096);
    }
    return 0;
}
