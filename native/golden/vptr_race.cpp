// data race on vptr (ctor/dtor vs virtual call): a virtual call while the destructor of the base is about to run.
#include "ordered.hpp"

#include <thread>

struct Base {
    virtual void act() {}
    virtual ~Base() { turn.first(); }
    Turn turn;
};

struct Derived : Base {
    void act() override {}
};

int main() {
    static Turn called;
    Base* object = new Derived;
    std::thread caller([&] {
        object->act();
        called.first();
    });
    std::thread watcher([&] { object->turn.second(); });
    called.second();
    delete object;
    caller.join();
    watcher.join();
}
