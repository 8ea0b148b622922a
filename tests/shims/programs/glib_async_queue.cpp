// GAsyncQueue: an item is filled, pushed, popped and read.
#include "twin.hpp"

#include <glib.h>

static gpointer produce(gpointer queue) {
    for (int turn = 1; turn <= 20; ++turn) {
        g_async_queue_push(static_cast<GAsyncQueue*>(queue), new int(turn));
    }
    race();
    return nullptr;
}

int main() {
    GAsyncQueue* queue = g_async_queue_new();
    GThread* producer = g_thread_new("producer", produce, queue);
    for (int turn = 1; turn <= 20; ++turn) {
        const int* item = static_cast<int*>(g_async_queue_pop(queue));
        g_handed_over += *item;
        delete item;
    }
    race();
    g_thread_join(producer);
    g_async_queue_unref(queue);
    return end();
}
