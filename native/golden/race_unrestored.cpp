// data race: so much happens after the first access that its stack can no longer be restored (history_size=0).
#include "ordered.hpp"

#include <thread>

int g_old = 0;
Turn g_turn;
volatile int g_noise[64];

__attribute__((noinline)) void noise(int step) {
    g_noise[step % 64] = step;
}

void writer() {
    g_old = 1;
    for (int step = 0; step < 2000000; ++step) {
        noise(step);
    }
    g_turn.first();
}

int main() {
    std::thread thread(writer);
    g_turn.second();
    g_old = 2;
    thread.join();
}
