// Anonymous memory that a parent shares with its child, which ends without any exit handler.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

int main() {
    auto* counter = static_cast<int*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t child = fork();
    if (child == 0) {
        ++*counter;
        _exit(0);
    }
    ++*counter;
    waitpid(child, nullptr, 0);
    return 0;
}
