// A promise gets its value when a thread ends.
#include "../programs/twin.hpp"

#include <future>
#include <thread>

int main() {
    std::promise<int> promise;
    auto future = promise.get_future();
    std::thread giver([&] {
        ++g_handed_over;
        promise.set_value_at_thread_exit(1);
        race();
    });
    future.wait();
    ++g_handed_over;
    race();
    giver.join();
    return end();
}
