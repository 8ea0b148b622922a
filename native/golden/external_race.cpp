// race on external object: two modifying accesses of an object that only the program knows.
#include "ordered.hpp"

#include <thread>

extern "C" void* __tsan_external_register_tag(const char* object_type);
extern "C" void __tsan_external_write(void* object, void* caller, void* tag);
extern "C" void __tsan_external_read(void* object, void* caller, void* tag);
extern "C" void __tsan_external_assign_tag(void* object, void* tag);

int main() {
    Turn turn;
    void* tag = __tsan_external_register_tag("Python list");
    void* object = new long[2]();
    __tsan_external_assign_tag(object, tag);
    std::thread writer([&] {
        __tsan_external_write(object, __builtin_return_address(0), tag);
        turn.first();
    });
    turn.second();
    __tsan_external_read(object, __builtin_return_address(0), tag);
    writer.join();
}
