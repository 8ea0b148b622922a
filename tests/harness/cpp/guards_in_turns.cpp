// Two threads take turns to copy a view, to make a guard from it, and to increment a counter: nothing orders the
// increments, so that ThreadSanitizer reports one race.

#include <python_tsan/attach.hpp>
#include <python_tsan/barrier.hpp>

#include <Python.h>
#include <thread>

#if PYTHON_TSAN_HAS_PEP_788
#error "from 3.15 on, guards are CPython's"
#endif

static long long counter = 0;

int main() {
    const python_tsan::attach_parts::View view;
    python_tsan::Barrier turn_over(2);
    const auto increment = [&](bool first) {
        if (!first) {
            turn_over.wait();
        }
        {
            const python_tsan::attach_parts::View copy = view;
            const python_tsan::attach_parts::Guard guard = make_guard(copy);
            counter += guard ? 1 : 0;
        }
        if (first) {
            turn_over.wait();
        }
    };
    std::thread one(increment, true);
    std::thread two(increment, false);
    one.join();
    two.join();
    return counter == 2 ? 0 : 1;
}
