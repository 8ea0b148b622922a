// data race: a global, one side under a mutex, the other not; named threads.
#include "ordered.hpp"

#include <mutex>
#include <pthread.h>
#include <thread>

namespace {
long g_total = 0;
std::mutex g_lock;
Turn g_turn;

void careful() {
    pthread_setname_np(pthread_self(), "careful one");
    {
        std::lock_guard<std::mutex> guard(g_lock);
        ++g_total;
    }
    g_turn.first();
}

long careless(int times, const char* /*reason*/) {
    pthread_setname_np(pthread_self(), "careless");
    g_turn.second();
    return g_total * times;
}
} // namespace

int main() {
    std::thread one(careful);
    std::thread two(careless, 3, "haste");
    one.join();
    two.join();
}
