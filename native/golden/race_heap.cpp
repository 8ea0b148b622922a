// data race: an element of a vector on the heap, reached through the standard library and a lambda.
#include "ordered.hpp"

#include <functional>
#include <map>
#include <thread>
#include <vector>

template <typename Key>
class Ledger {
public:
    __attribute__((noinline)) void operator()(Key key, int amount) { entries_[key].push_back(amount); }
    __attribute__((noinline)) std::size_t operator[](Key key) { return entries_[key].size(); }

private:
    std::map<Key, std::vector<int>> entries_;
};

int main() {
    Turn turn;
    Ledger<unsigned long> ledger;
    ledger(7, 1);
    std::thread writer(
        [&](int amount) {
            ledger(7, amount);
            turn.first();
        },
        5);
    turn.second();
    const auto seen = ledger[7];
    writer.join();
    return seen == 0;
}
