// The functions of C's <threads.h>, which glibc makes of its internal names.
#include "twin.hpp"

#include <cstdlib>
#include <cstring>
#include <thread>
#include <threads.h>

namespace {

mtx_t g_mutex;
cnd_t g_changed;
once_flag g_once = ONCE_FLAG_INIT;
int g_made;
int g_turn;

int work(void*) {
    call_once(&g_once, [] { g_made = 1; });
    mtx_lock(&g_mutex);
    g_handed_over += g_made;
    ++g_turn;
    cnd_broadcast(&g_changed);
    while (g_turn < 2) {
        cnd_wait(&g_changed, &g_mutex);
    }
    mtx_unlock(&g_mutex);
    if (mtx_trylock(&g_mutex) == thrd_success) {
        ++g_handed_over;
        mtx_unlock(&g_mutex);
    }
    race();
    return 42;
}

/// A runtime dies in a thread that it does not know: such a thread only with the shims.
bool has_shims() {
    const char* shims = std::getenv("PYTHON_TSAN_SHIMS");
    return shims != nullptr && std::strcmp(shims, "1") == 0;
}

} // namespace

int main() {
    int result = 0;
    if (mtx_init(&g_mutex, mtx_plain) != thrd_success || cnd_init(&g_changed) != thrd_success) {
        return 1;
    }
    if (has_shims()) {
        thrd_t other;
        if (thrd_create(&other, work, nullptr) != thrd_success) {
            return 1;
        }
        work(nullptr);
        if (thrd_join(other, &result) != thrd_success || result != 42) {
            return 1;
        }
    } else {
        std::thread other(work, nullptr);
        work(nullptr);
        other.join();
    }
    ++g_handed_over;
    cnd_destroy(&g_changed);
    mtx_destroy(&g_mutex);
    return end();
}
