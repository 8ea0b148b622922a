// Counts the letters of a text in two threads. `count_racy` lets both add to one table; `count_safe` gives each thread
// a table of its own and adds them up at the end. The GIL is released for the counting, so it orders nothing here.
#include <pybind11/pybind11.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace py = pybind11;

using Table = std::vector<long>;
constexpr std::size_t letters = 256;

void count(std::string_view text, Table& table) {
    for (const unsigned char letter : text) {
        ++table[letter];
    }
}

long count_racy(const std::string& text, unsigned char letter) {
    py::gil_scoped_release release;
    const std::string_view whole = text;
    Table table(letters);
    std::thread other([&] { count(whole.substr(whole.size() / 2), table); });
    count(whole.substr(0, whole.size() / 2), table); // the race: both threads add to the same table
    other.join();
    return table[letter];
}

long count_safe(const std::string& text, unsigned char letter) {
    py::gil_scoped_release release;
    const std::string_view whole = text;
    Table first(letters);
    Table second(letters);
    std::thread other([&] { count(whole.substr(whole.size() / 2), second); });
    count(whole.substr(0, whole.size() / 2), first);
    other.join();
    return first[letter] + second[letter];
}

PYBIND11_MODULE(histogram, module) {
    module.def("count_racy", &count_racy);
    module.def("count_safe", &count_safe);
}
