// Four threads ask a Python function for a score and add it up in C++. The GIL is held for the call,
// and the sum is made after it has been released: two threads may add at the same moment.
#include <pybind11/embed.h>

#include <cstdio>
#include <functional>
#include <thread>
#include <vector>

namespace py = pybind11;

long g_total = 0;

void work(const py::object& score, int first) {
    for (int number = first; number < first + 50; ++number) {
        long points = 0;
        {
            py::gil_scoped_acquire gil;
            points = score(number).cast<long>();
        }
        g_total += points; // the race: nothing orders this addition against the other threads'
    }
}

int main() {
    py::scoped_interpreter python;
    py::exec("def score(number):\n    return number % 7\n");
    const py::object score = py::globals()["score"];
    {
        py::gil_scoped_release release;
        std::vector<std::thread> threads;
        for (int first : {0, 50, 100, 150}) {
            threads.emplace_back(work, std::cref(score), first);
        }
        for (auto& thread : threads) {
            thread.join();
        }
    }
    std::printf("total %ld\n", g_total);
}
