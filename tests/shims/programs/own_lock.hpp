// Two threads hand over data under a lock of the program's own, which the program defines as lock() and unlock().
#pragma once

#include "twin.hpp"

#include <thread>

static void lock();
static void unlock();

static void work() {
    for (int times = 0; times < 100; ++times) {
        lock();
        ++g_handed_over;
        unlock();
    }
    race();
}

int main() {
    std::thread other(work);
    work();
    other.join();
    return end();
}
