// QtConcurrent: what its functions are given, and what they return. Two threads meet in the first map.
#include "twin.hpp"

#include <QVector>
#include <QtConcurrent>
#include <atomic>
#include <unistd.h>

static std::atomic<int> arrived{0}, raced{0}, first{2};

/// The second of the two goes on when the first has: the runtime may miss accesses at the very same time.
static void meet_and_race() {
    const int before = arrived.fetch_add(1, std::memory_order_relaxed);
    while (arrived.load(std::memory_order_relaxed) < 2 || raced.load(std::memory_order_relaxed) < before) {
        usleep(100);
    }
    race();
    raced.fetch_add(1, std::memory_order_relaxed);
}

static void add_one(int& value) {
    if (first.fetch_sub(1, std::memory_order_relaxed) > 0) {
        meet_and_race();
    }
    ++value;
}

static int doubled(const int& value) {
    return 2 * value;
}

[[maybe_unused]] static void add(int& sum, const int& value) {
    sum += value;
}

int main() {
    QThreadPool::globalInstance()->setMaxThreadCount(4);
    QVector<int> values(1000);
    QtConcurrent::blockingMap(values, add_one);
    QFuture<int> mapped = QtConcurrent::mapped(values, doubled);
    mapped.waitForFinished();
    for (const int value : mapped.results()) {
        g_handed_over += value;
    }
#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
    g_handed_over += QtConcurrent::mappedReduced(values, doubled, add).result();
#else // ReduceKernel::shouldThrottle of Qt 5 really reads a size that others write under a lock
    g_handed_over += 2000;
#endif
    QFuture<void> again = QtConcurrent::map(values, add_one);
    again.waitForFinished();
    for (const int value : values) {
        g_handed_over += value;
    }
    g_handed_over += QtConcurrent::run([&values] { return values.at(3); }).result();
    return end() + (g_handed_over == 2000 + 2000 + 2000 + 2 ? 0 : 1);
}
