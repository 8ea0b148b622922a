// oneTBB: what loops, reductions and groups of tasks are given, and what they return. Two threads meet in the first
// loop, so that a worker takes part.
#include "twin.hpp"

#include <atomic>
#include <numeric>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_reduce.h>
#include <tbb/parallel_sort.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <thread>
#include <vector>

using Range = tbb::blocked_range<int>;

static std::atomic<int> arrived{0}, raced{0};

/// The second of the two goes on when the first has: the runtime may miss accesses at the very same time.
static void meet_and_race() {
    const int before = arrived.fetch_add(1, std::memory_order_relaxed);
    while (arrived.load(std::memory_order_relaxed) < 2 || raced.load(std::memory_order_relaxed) < before) {
        std::this_thread::yield();
    }
    race();
    raced.fetch_add(1, std::memory_order_relaxed);
}

int main() {
    const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 4);
    constexpr int kCount = 4000;
    std::vector<int> values(kCount);
    std::iota(values.begin(), values.end(), 0);
    std::atomic<int> first{2};
    tbb::parallel_for(Range(0, kCount, 10), [&](const Range& range) {
        if (first.fetch_sub(1, std::memory_order_relaxed) > 0) {
            meet_and_race();
        }
        for (int index = range.begin(); index < range.end(); ++index) {
            values[static_cast<std::size_t>(index)] *= 2;
        }
    });
    for (int turn = 0; turn < 5; ++turn) {
        g_handed_over += tbb::parallel_reduce(
            Range(0, kCount, 10), 0,
            [&](const Range& range, int sum) {
                return std::accumulate(values.begin() + range.begin(), values.begin() + range.end(), sum);
            },
            [](int left, int right) { return left + right; });
        std::vector<int> parts(20);
        tbb::task_group group;
        for (int& part : parts) {
            group.run([&part, &values] { part = values[1]; });
        }
        group.wait();
        g_handed_over += std::accumulate(parts.begin(), parts.end(), 0);
        tbb::parallel_sort(values.rbegin(), values.rend());
    }
    tbb::task_arena arena(4);
    tbb::task_group group;
    int result = 0;
    arena.execute([&] { group.run([&result, &values] { result = values[2]; }); });
    arena.execute([&] { group.wait(); });
    g_handed_over += result;
    return end();
}
