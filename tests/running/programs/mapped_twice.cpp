// One file at two addresses: the racing writes go to different addresses, and the runtime sees no race.
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

int main() {
    const int file = memfd_create("twice", 0);
    if (ftruncate(file, 4096) != 0) {
        return 1;
    }
    constexpr int kBoth = PROT_READ | PROT_WRITE;
    auto* one = static_cast<int*>(mmap(nullptr, 4096, kBoth, MAP_SHARED, file, 0));
    auto* other = static_cast<int*>(mmap(nullptr, 4096, kBoth, MAP_SHARED, file, 0));
    std::thread writer([&] { ++*one; });
    ++*other;
    writer.join();
    munmap(one, 4096);
    munmap(other, 4096);
    return 0;
}
