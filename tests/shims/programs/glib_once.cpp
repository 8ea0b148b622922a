// g_once, and g_once_init_enter and g_once_init_leave: what the first thread made is read by the others.
#include "twin.hpp"

#include <glib.h>

static int* made = nullptr;

static gpointer make(gpointer) {
    g_handed_over = 1;
    return &g_handed_over;
}

static gpointer work(gpointer) {
    static GOnce once = G_ONCE_INIT;
    const int* seen = static_cast<int*>(g_once(&once, make, nullptr));
    static gsize initialized = 0;
    if (g_once_init_enter(&initialized)) {
        made = new int(*seen);
        g_once_init_leave(&initialized, 1);
    }
    if (*made != *seen) {
        std::printf("never\n");
    }
    race();
    return nullptr;
}

int main() {
    GThread* other = g_thread_new("other", work, nullptr);
    work(nullptr);
    g_thread_join(other);
    delete made;
    return end();
}
