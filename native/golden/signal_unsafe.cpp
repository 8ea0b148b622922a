// signal-unsafe call inside of a signal: malloc in a handler.
#include <csignal>
#include <cstdlib>

void* volatile g_block = nullptr;

void handler(int /*number*/) {
    g_block = std::malloc(10);
}

int main() {
    std::signal(SIGUSR1, handler);
    std::raise(SIGUSR1);
    std::free(g_block);
}
