// GAsyncQueue with sorted pushes, whose comparisons read what others pushed, and a pool with a function that frees.
#include "twin.hpp"

#include <glib.h>

static GAsyncQueue* queue;

static gint compare(gconstpointer one, gconstpointer other, gpointer) {
    return *static_cast<const int*>(one) - *static_cast<const int*>(other);
}

static gpointer push(gpointer) {
    for (int number = 0; number < 50; ++number) {
        g_async_queue_push_sorted(queue, new int(number), compare, nullptr);
    }
    race();
    return nullptr;
}

static void work(gpointer data, gpointer) {
    ++*static_cast<int*>(data);
}

int main() {
    queue = g_async_queue_new();
    GThread* thread = g_thread_new("push", push, nullptr);
    for (int turn = 0; turn < 50; ++turn) {
        auto* number = static_cast<int*>(g_async_queue_pop(queue));
        g_handed_over += *number;
        delete number;
    }
    race();
    g_thread_join(thread);
    g_async_queue_unref(queue);
    int numbers[4] = {};
    GThreadPool* pool = g_thread_pool_new_full(work, nullptr, nullptr, 2, TRUE, nullptr);
    for (int& number : numbers) {
        g_thread_pool_push(pool, &number, nullptr);
    }
    g_thread_pool_free(pool, FALSE, TRUE);
    for (const int number : numbers) {
        g_handed_over += number;
    }
    return end();
}
