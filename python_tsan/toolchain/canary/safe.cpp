// The turn that must be clean: the same increments, ordered by a mutex of the C++ library.

#include <mutex>

static int canary_counter;
static std::mutex canary_mutex;

extern "C" void canary_turn() {
    const std::lock_guard<std::mutex> guard(canary_mutex);
    ++canary_counter;
}
