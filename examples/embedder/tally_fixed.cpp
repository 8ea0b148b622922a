// The same program with the race fixed: a mutex of its own orders the additions. It is taken after the GIL has been
// released, never the other way round, so that the two locks cannot block each other.
#include <pybind11/embed.h>

#include <cstdio>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace py = pybind11;

long g_total = 0;
std::mutex g_total_mutex;

void work(const py::object& score, int first) {
    for (int number = first; number < first + 50; ++number) {
        long points = 0;
        {
            py::gil_scoped_acquire gil;
            points = score(number).cast<long>();
        }
        const std::lock_guard lock(g_total_mutex);
        g_total += points;
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
