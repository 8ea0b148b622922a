// GRWLock: writers and readers.
#include "twin.hpp"

#include <glib.h>

static GRWLock lock;

static gpointer work(gpointer) {
    for (int turn = 0; turn < 20; ++turn) {
        g_rw_lock_reader_lock(&lock);
        if (g_handed_over < 0) {
            std::printf("never\n");
        }
        g_rw_lock_reader_unlock(&lock);
        g_rw_lock_writer_lock(&lock);
        ++g_handed_over;
        g_rw_lock_writer_unlock(&lock);
    }
    race();
    return nullptr;
}

int main() {
    GThread* other = g_thread_new("other", work, nullptr);
    work(nullptr);
    g_thread_join(other);
    return end();
}
