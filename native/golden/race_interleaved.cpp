// data race: the program prints while the block is being printed.
#include "ordered.hpp"

#include <cstdio>
#include <thread>

int g_busy = 0;
Turn g_turn;

// Called by the runtime when a block is complete and about to be printed.
extern "C" void __tsan_on_report(void* /*report*/) {
    std::fputs("progress: 50 %", stderr);
}

void work() {
    g_busy = 1;
    g_turn.first();
}

int main() {
    std::thread worker(work);
    g_turn.second();
    g_busy = 2;
    std::fputs("progress: 100 %\n", stderr);
    worker.join();
}
