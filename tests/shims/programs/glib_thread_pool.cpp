// GThreadPool: work is filled, pushed, done in a worker, and read once the pool has ended.
#include "twin.hpp"

#include <glib.h>

struct Work {
    int number;
    int result;
};

static void run(gpointer data, gpointer factor) {
    auto* work = static_cast<Work*>(data);
    work->result = work->number * *static_cast<int*>(factor);
    race();
}

int main() {
    int factor = 3;
    Work works[8] = {};
    GThreadPool* pool = g_thread_pool_new(run, &factor, 4, TRUE, nullptr);
    for (int index = 0; index < 8; ++index) {
        works[index].number = index;
        g_thread_pool_push(pool, &works[index], nullptr);
    }
    race();
    g_thread_pool_free(pool, FALSE, TRUE);
    for (const Work& work : works) {
        g_handed_over += work.result;
    }
    return end();
}
