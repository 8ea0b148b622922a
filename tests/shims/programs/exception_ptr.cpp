// An exception goes through a promise whose owner outlives the handler: the owner frees what the handler has read.
#include "twin.hpp"

#include <atomic>
#include <cstring>
#include <future>
#include <stdexcept>
#include <thread>

int main() {
    auto* promise = new std::promise<int>;
    std::future<int> future = promise->get_future();
    std::atomic<bool> handled{false}; // orders nothing: the count of the exception does
    std::thread owner([&] {
        try {
            throw std::runtime_error("a text that the handler reads");
        } catch (...) {
            promise->set_exception(std::current_exception());
        }
        while (!handled.load(std::memory_order_relaxed)) {
        }
        delete promise;
        race();
    });
    try {
        future.get();
    } catch (const std::runtime_error& error) {
        g_handed_over += static_cast<int>(std::strlen(error.what()));
    }
    future = {};
    handled.store(true, std::memory_order_relaxed);
    race();
    owner.join();
    return end();
}
