// An exception out of call_once: the next call waits for ever under the sanitizer, and in no other program.
#include <cstdio>
#include <mutex>
#include <stdexcept>

static std::once_flag flag;

int main() {
    try {
        std::call_once(flag, [] { throw std::runtime_error("the first attempt"); });
    } catch (const std::runtime_error& error) {
        std::printf("%s\n", error.what());
    }
    std::call_once(flag, [] { std::printf("the second\n"); });
}
