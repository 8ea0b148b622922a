// data race: an atomic store against a plain read, both in class members; the location is the main thread's stack.
#include "ordered.hpp"

#include <atomic>
#include <thread>

class Flag {
public:
    void raise() { __atomic_store_n(&value_, 1, __ATOMIC_RELAXED); }
    int peek() const { return value_; }

private:
    int value_ = 0;
};

int main() {
    Turn turn;
    Flag flag;
    std::thread raiser([&] {
        flag.raise();
        turn.first();
    });
    turn.second();
    const int seen = flag.peek();
    raiser.join();
    return seen == 2;
}
