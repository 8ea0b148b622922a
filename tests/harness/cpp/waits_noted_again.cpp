// T1 waits while T2 is still working, as on a busy machine; then T2 waits too. Both states are noted.

#include "harness/waits.hpp"

#include <chrono>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

static std::string noted(const std::string& folder) {
    std::ifstream file(folder + "/waits.txt");
    return {std::istreambuf_iterator<char>(file), {}};
}

static void wait_for_another_note(const std::string& folder) {
    const auto before = noted(folder);
    while (noted(folder) == before) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    std::cout << noted(folder) << "--\n";
}

int main(int, char** arguments) {
    const std::string folder = arguments[1];
    python_tsan::Options options;
    options.report = folder + "/report.json";
    python_tsan::Waits waits(options);
    waits.own("T1", "the GIL");
    waits.own("T2", "the mutex");
    waits.want("T1", "the mutex");
    wait_for_another_note(folder);
    waits.want("T2", "the GIL");
    wait_for_another_note(folder);
}
