// heap-use-after-free (virtual call vs free): a virtual call on an object that another thread has deleted.
#include "ordered.hpp"

#include <thread>

struct Shape {
    virtual int sides() { return 4; }
    virtual ~Shape() = default;
    long padding = 0;
};

int main() {
    Turn turn;
    auto* shape = new Shape;
    std::thread owner([&] {
        operator delete(shape);
        turn.first();
    });
    turn.second();
    const int sides = shape->sides();
    owner.join();
    return sides == 3;
}
