// heap-use-after-free: one thread frees what another still writes.
#include "ordered.hpp"

#include <cstdlib>
#include <thread>

int main() {
    Turn turn;
    auto* block = static_cast<long*>(std::malloc(4 * sizeof(long)));
    std::thread owner([&] {
        std::free(block);
        turn.first();
    });
    turn.second();
    block[1] = 42;
    owner.join();
}
