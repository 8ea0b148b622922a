#include "gil_mutex.hpp"

#include "objects.hpp"
#include "recording.hpp"
#include "spool.hpp"
#include "thread.hpp"

#include <pthread.h>

namespace gil_tracer {

namespace {

constexpr std::size_t most_gils = 8; // one for each interpreter with its own GIL; further ones are not seen here
std::atomic<pthread_mutex_t*> gil_mutexes[most_gils];
int (*real_lock)(pthread_mutex_t*) = nullptr;
int (*real_unlock)(pthread_mutex_t*) = nullptr;

bool is_gil(const pthread_mutex_t* mutex) {
    for (const auto& known : gil_mutexes) {
        const auto* one = known.load(std::memory_order_relaxed);
        if (one == mutex) {
            return true;
        }
        if (one == nullptr) {
            return false;
        }
    }
    return false;
}

void learn(pthread_mutex_t* mutex) {
    for (auto& known : gil_mutexes) {
        pthread_mutex_t* nobody = nullptr;
        if (known.compare_exchange_strong(nobody, mutex) || nobody == mutex) {
            return;
        }
    }
}

int watch_lock(pthread_mutex_t* mutex) {
    if (me.saving) {
        me.saving = false;
        learn(mutex);
    }
    const int result = real_lock(mutex);
    if (is_gil(mutex)) {
        if (me.inside > 0) {
            me.dropped = me.state == State::holding ? monotonic() : 0;
        } else if (me.state == State::holding) {
            note_release(GilCall::internal, __builtin_return_address(0), false);
        } else if (!me.taking) {
            me.taking = true;
            me.requested = monotonic();
        }
    }
    return result;
}

int watch_unlock(pthread_mutex_t* mutex) {
    const int result = real_unlock(mutex);
    if (me.taking && me.inside == 0 && is_gil(mutex)) {
        me.taking = false;
        note_acquired(GilCall::internal, me.requested);
    }
    return result;
}

} // namespace

bool watch_gil_mutex(const void* function) {
    // Set before the first redirected call, which may come at once.
    real_lock = reinterpret_cast<decltype(real_lock)>(find_next("pthread_mutex_lock"));
    real_unlock = reinterpret_cast<decltype(real_unlock)>(find_next("pthread_mutex_unlock"));
    auto* unlock = redirect(function, "pthread_mutex_unlock", reinterpret_cast<void*>(watch_unlock));
    if (unlock != nullptr) {
        real_unlock = reinterpret_cast<decltype(real_unlock)>(unlock);
    }
    auto* lock = redirect(function, "pthread_mutex_lock", reinterpret_cast<void*>(watch_lock));
    real_lock = reinterpret_cast<decltype(real_lock)>(lock);
    return lock != nullptr;
}

} // namespace gil_tracer
