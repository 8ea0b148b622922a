// No finding: the race is suppressed, and print_suppressions=1 prints by which line and how often.
#include "ordered.hpp"

#include <thread>

int g_known = 0;
Turn g_turn;

void known_writer() {
    g_known = 1;
    g_turn.first();
}

int main() {
    std::thread writer(known_writer);
    g_turn.second();
    g_known = 2;
    writer.join();
}
