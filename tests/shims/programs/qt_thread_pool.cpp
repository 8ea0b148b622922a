// QThreadPool: runnables that are deleted after their run and one that is not, functions, and the end of the pool.
#include "twin.hpp"

#include <QRunnable>
#include <QThreadPool>
#include <atomic>
#include <vector>

static std::atomic<int> deleted{0};

struct Work : QRunnable {
    explicit Work(int* place) : result(place) {}
    ~Work() override { ++deleted; }
    void run() override {
        *result += 1;
        race();
    }
    int* result;
};

int main() {
    std::vector<int> results(9);
    QThreadPool pool;
    pool.setMaxThreadCount(2);
    Work kept(&results[8]);
    kept.setAutoDelete(false);
    for (int index = 0; index < 4; ++index) {
        pool.start(new Work(&results[index]));
    }
    for (int index = 4; index < 8; ++index) {
        pool.start([&results, index] { ++results[index]; });
    }
    pool.start(&kept);
    race();
    pool.waitForDone();
    for (int result : results) {
        g_handed_over += result;
    }
    return end() + (g_handed_over == 9 && deleted == 4 ? 0 : 1);
}
