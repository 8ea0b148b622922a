// data race: another thread's thread-local variable.
#include "ordered.hpp"

#include <thread>

thread_local int t_mine = 0;
int* g_door = nullptr;
Turn g_open, g_done, g_close;

void owner() {
    g_door = &t_mine;
    t_mine = 1;
    g_open.first();
    g_close.second();
}

int main() {
    std::thread thread(owner);
    g_open.second();
    *__atomic_load_n(&g_door, __ATOMIC_RELAXED) = 2;
    g_close.first();
    thread.join();
}
