// mutex held in the wrong context: code that declares itself free of locks is reached with one held.
#include <mutex>

extern "C" void __tsan_check_no_mutexes_held();

std::mutex g_lock;

void callback() {
    __tsan_check_no_mutexes_held();
}

int main() {
    std::lock_guard<std::mutex> guard(g_lock);
    callback();
}
