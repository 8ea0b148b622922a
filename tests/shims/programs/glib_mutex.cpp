// GMutex and GCond: a producer and a consumer, and GRecMutex.
#include "twin.hpp"

#include <glib.h>

static GMutex mutex;
static GCond condition;
static GRecMutex recursive;
static bool ready = false;

static gpointer produce(gpointer) {
    g_rec_mutex_lock(&recursive);
    g_rec_mutex_lock(&recursive);
    ++g_handed_over;
    g_rec_mutex_unlock(&recursive);
    g_rec_mutex_unlock(&recursive);
    g_mutex_lock(&mutex);
    ++g_handed_over;
    ready = true;
    g_cond_signal(&condition);
    g_mutex_unlock(&mutex);
    race();
    return nullptr;
}

int main() {
    GThread* producer = g_thread_new("producer", produce, nullptr);
    g_mutex_lock(&mutex);
    while (!ready) {
        g_cond_wait(&condition, &mutex);
    }
    ++g_handed_over;
    g_mutex_unlock(&mutex);
    if (g_rec_mutex_trylock(&recursive)) {
        ++g_handed_over;
        g_rec_mutex_unlock(&recursive);
    }
    race();
    g_thread_join(producer);
    return end();
}
