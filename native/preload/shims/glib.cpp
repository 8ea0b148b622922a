// GLib's locks, which wait by futex inside libglib: GMutex, GRecMutex, GRWLock, GCond, g_once, GAsyncQueue,
// GThreadPool. Its types are known here by their addresses alone. What libglib calls inside itself does not pass here.
#include "shim.hpp"

#include <cstddef>

namespace {

using namespace python_tsan::shims;

constexpr Group kGroup = Group::glib;

using Pointer = void*;
using Call = void (*)(Pointer);
using Try = int (*)(Pointer);
using Wait = void (*)(Pointer, Pointer);
using TimedWait = int (*)(Pointer, Pointer, std::int64_t);

bool is_true(int result) {
    return result != 0;
}

void lock(Call next, Pointer mutex, unsigned flags) {
    if (!is_on(kGroup)) {
        next(mutex);
        return;
    }
    __tsan_mutex_pre_lock(mutex, flags | kStatic);
    next(mutex);
    __tsan_mutex_post_lock(mutex, flags | kStatic, 0);
}

int try_to_lock(Try next, Pointer mutex, unsigned flags) {
    const auto attempt = [&] { return next(mutex); };
    return is_on(kGroup) ? try_lock(mutex, flags | kStatic, attempt, is_true) : attempt();
}

void unlock(Call next, Pointer mutex, unsigned flags) {
    if (is_on(kGroup)) {
        unlocked(mutex, flags);
    }
    next(mutex);
}

void clear(Call next, Pointer mutex) {
    next(mutex);
    if (is_on(kGroup) && __tsan_mutex_destroy != nullptr) {
        __tsan_mutex_destroy(mutex, kStatic);
    }
}

} // namespace

#define PYTHON_TSAN_GLIB_LOCKS(TYPE, LOCK, TRY, UNLOCK, FLAGS)                                                         \
    static CallersNext<Call> next_##TYPE##_##LOCK("g_" #TYPE "_" #LOCK);                                               \
    static CallersNext<Try> next_##TYPE##_##TRY("g_" #TYPE "_" #TRY);                                                  \
    static CallersNext<Call> next_##TYPE##_##UNLOCK("g_" #TYPE "_" #UNLOCK);                                           \
    PYTHON_TSAN_SHIM void g_##TYPE##_##LOCK(Pointer mutex) {                                                           \
        lock(next_##TYPE##_##LOCK.of(PYTHON_TSAN_CALLER), mutex, FLAGS);                                               \
    }                                                                                                                  \
    PYTHON_TSAN_SHIM int g_##TYPE##_##TRY(Pointer mutex) {                                                             \
        return try_to_lock(next_##TYPE##_##TRY.of(PYTHON_TSAN_CALLER), mutex, FLAGS);                                  \
    }                                                                                                                  \
    PYTHON_TSAN_SHIM void g_##TYPE##_##UNLOCK(Pointer mutex) {                                                         \
        unlock(next_##TYPE##_##UNLOCK.of(PYTHON_TSAN_CALLER), mutex, FLAGS);                                           \
    }

PYTHON_TSAN_GLIB_LOCKS(mutex, lock, trylock, unlock, 0U)
PYTHON_TSAN_GLIB_LOCKS(rec_mutex, lock, trylock, unlock, kReentrant)
PYTHON_TSAN_GLIB_LOCKS(rw_lock, writer_lock, writer_trylock, writer_unlock, 0U)
PYTHON_TSAN_GLIB_LOCKS(rw_lock, reader_lock, reader_trylock, reader_unlock, kRead)

#define PYTHON_TSAN_GLIB_CLEAR(NAME)                                                                                   \
    static CallersNext<Call> next_##NAME(#NAME);                                                                       \
    PYTHON_TSAN_SHIM void NAME(Pointer mutex) {                                                                        \
        clear(next_##NAME.of(PYTHON_TSAN_CALLER), mutex);                                                              \
    }

PYTHON_TSAN_GLIB_CLEAR(g_mutex_clear)
PYTHON_TSAN_GLIB_CLEAR(g_rec_mutex_clear)
PYTHON_TSAN_GLIB_CLEAR(g_rw_lock_clear)

// A wait unlocks its mutex and locks it again, inside libglib.

static CallersNext<Wait> next_cond_wait("g_cond_wait");
static CallersNext<TimedWait> next_cond_wait_until("g_cond_wait_until");

PYTHON_TSAN_SHIM void g_cond_wait(Pointer condition, Pointer mutex) {
    const bool on = is_on(kGroup);
    if (on) {
        unlocked(mutex, 0);
    }
    next_cond_wait.of(PYTHON_TSAN_CALLER)(condition, mutex);
    if (on) {
        locked(mutex, kStatic);
    }
}

PYTHON_TSAN_SHIM int g_cond_wait_until(Pointer condition, Pointer mutex, std::int64_t end) {
    const bool on = is_on(kGroup);
    if (on) {
        unlocked(mutex, 0);
    }
    const int result = next_cond_wait_until.of(PYTHON_TSAN_CALLER)(condition, mutex, end);
    if (on) {
        locked(mutex, kStatic);
    }
    return result;
}

// g_once: the program's own fast path is an atomic load of the same address, which acquires what is released here.

namespace {

using Function = Pointer (*)(Pointer);

struct Once {
    Pointer once;
    Function function;
    Pointer argument;
};

Pointer run_once(Pointer argument) {
    const Once call = *static_cast<Once*>(argument);
    Pointer result = call.function(call.argument);
    release(call.once);
    return result;
}

CallersNext<Pointer (*)(Pointer, Function, Pointer)> next_once("g_once_impl");
CallersNext<int (*)(Pointer)> next_once_enter("g_once_init_enter");
CallersNext<void (*)(Pointer, std::size_t)> next_once_leave("g_once_init_leave");

} // namespace

PYTHON_TSAN_SHIM Pointer g_once_impl(Pointer once, Function function, Pointer argument) {
    if (!is_on(kGroup)) {
        return next_once.of(PYTHON_TSAN_CALLER)(once, function, argument);
    }
    Once call{once, function, argument};
    Pointer result = next_once.of(PYTHON_TSAN_CALLER)(once, run_once, &call);
    acquire(once);
    return result;
}

PYTHON_TSAN_SHIM int g_once_init_enter(Pointer location) {
    const int first = next_once_enter.of(PYTHON_TSAN_CALLER)(location);
    if (first == 0 && is_on(kGroup)) {
        acquire(location);
    }
    return first;
}

PYTHON_TSAN_SHIM void g_once_init_leave(Pointer location, std::size_t value) {
    if (is_on(kGroup)) {
        release(location);
    }
    next_once_leave.of(PYTHON_TSAN_CALLER)(location, value);
}

// A queue has a mutex of its own, inside libglib: a pop sees what was done before each earlier push.

#define PYTHON_TSAN_GLIB_PUSH(NAME)                                                                                    \
    static CallersNext<Wait> next_##NAME(#NAME);                                                                       \
    PYTHON_TSAN_SHIM void NAME(Pointer queue, Pointer data) {                                                          \
        if (is_on(kGroup)) {                                                                                           \
            release(queue);                                                                                            \
        }                                                                                                              \
        next_##NAME.of(PYTHON_TSAN_CALLER)(queue, data);                                                               \
    }

#define PYTHON_TSAN_GLIB_POP(NAME, PARAMETERS, ARGUMENTS)                                                              \
    static CallersNext<Pointer(*) PARAMETERS> next_##NAME(#NAME);                                                      \
    PYTHON_TSAN_SHIM Pointer NAME PARAMETERS {                                                                         \
        Pointer data = next_##NAME.of(PYTHON_TSAN_CALLER) ARGUMENTS;                                                   \
        if (data != nullptr && is_on(kGroup)) {                                                                        \
            acquire(queue);                                                                                            \
        }                                                                                                              \
        return data;                                                                                                   \
    }

PYTHON_TSAN_GLIB_PUSH(g_async_queue_push)
PYTHON_TSAN_GLIB_PUSH(g_async_queue_push_unlocked)
PYTHON_TSAN_GLIB_PUSH(g_async_queue_push_front)
PYTHON_TSAN_GLIB_PUSH(g_async_queue_push_front_unlocked)
PYTHON_TSAN_GLIB_POP(g_async_queue_pop, (Pointer queue), (queue))
PYTHON_TSAN_GLIB_POP(g_async_queue_pop_unlocked, (Pointer queue), (queue))
PYTHON_TSAN_GLIB_POP(g_async_queue_try_pop, (Pointer queue), (queue))
PYTHON_TSAN_GLIB_POP(g_async_queue_try_pop_unlocked, (Pointer queue), (queue))
PYTHON_TSAN_GLIB_POP(g_async_queue_timeout_pop, (Pointer queue, std::uint64_t time), (queue, time))
PYTHON_TSAN_GLIB_POP(g_async_queue_timeout_pop_unlocked, (Pointer queue, std::uint64_t time), (queue, time))

// A sorted push compares inside the queue's mutex.

namespace {

using Compare = int (*)(const void*, const void*, Pointer);
using PushSorted = void (*)(Pointer, Pointer, Compare, Pointer);

struct Sorting {
    Pointer queue;
    Compare compare;
    Pointer context;
};

int compare_in_queue(const void* one, const void* other, Pointer context) {
    const auto& sorting = *static_cast<Sorting*>(context);
    acquire(sorting.queue);
    const int result = sorting.compare(one, other, sorting.context);
    release(sorting.queue);
    return result;
}

void push_sorted(PushSorted next, Pointer queue, Pointer data, Compare compare, Pointer context) {
    if (!is_on(kGroup)) {
        next(queue, data, compare, context);
        return;
    }
    Sorting sorting{queue, compare, context};
    release(queue);
    next(queue, data, compare_in_queue, &sorting);
}

CallersNext<PushSorted> next_push_sorted("g_async_queue_push_sorted");
CallersNext<PushSorted> next_push_sorted_unlocked("g_async_queue_push_sorted_unlocked");

} // namespace

PYTHON_TSAN_SHIM void g_async_queue_push_sorted(Pointer queue, Pointer data, Compare compare, Pointer context) {
    push_sorted(next_push_sorted.of(PYTHON_TSAN_CALLER), queue, data, compare, context);
}

PYTHON_TSAN_SHIM void
g_async_queue_push_sorted_unlocked(Pointer queue, Pointer data, Compare compare, Pointer context) {
    push_sorted(next_push_sorted_unlocked.of(PYTHON_TSAN_CALLER), queue, data, compare, context);
}

// A pool: its function is replaced by one that acquires what the givers released.

namespace {

using Work = void (*)(Pointer data, Pointer context);

/// The function of one pool. `given` and `done` are addresses to synchronize on, of no other use.
struct Pool {
    std::atomic<Pointer> pool{nullptr};
    Work work = nullptr;
    Pointer context = nullptr;
    alignas(8) char given = 0;
    alignas(8) char done = 0;
};

// Pools beyond these are not shimmed; nothing is ever freed, because a worker may still run.
constexpr std::size_t kMostPools = 256;
alignas(16) Pool pools[kMostPools];
std::atomic<std::size_t> pool_count{0};

Pool* pool_of(Pointer pool) {
    const std::size_t count = pool_count.load(std::memory_order_acquire);
    for (std::size_t index = 0; index < count && index < kMostPools; ++index) {
        if (pools[index].pool.load(std::memory_order_acquire) == pool) {
            return &pools[index];
        }
    }
    return nullptr;
}

void work_in_pool(Pointer data, Pointer context) {
    auto& pool = *static_cast<Pool*>(context);
    acquire(&pool.given);
    pool.work(data, pool.context);
    release(&pool.done);
}

using NewPool = Pointer (*)(Work, Pointer, int, int, Pointer);
using FreeItem = void (*)(Pointer);
using NewFullPool = Pointer (*)(Work, Pointer, FreeItem, int, int, Pointer);
using PushWork = int (*)(Pointer, Pointer, Pointer);
using FreePool = void (*)(Pointer, int, int);

CallersNext<NewPool> next_pool_new("g_thread_pool_new");
CallersNext<NewFullPool> next_pool_new_full("g_thread_pool_new_full");
CallersNext<PushWork> next_pool_push("g_thread_pool_push");
CallersNext<FreePool> next_pool_free("g_thread_pool_free");

template <typename Make>
Pointer made_pool(Work work, Pointer context, Make make) {
    const std::size_t index = is_on(kGroup) ? pool_count.fetch_add(1) : kMostPools;
    if (index >= kMostPools) {
        return make(work, context);
    }
    Pool& kept = pools[index];
    kept.work = work;
    kept.context = context;
    Pointer made = make(work_in_pool, &kept);
    kept.pool.store(made, std::memory_order_release);
    return made;
}

} // namespace

PYTHON_TSAN_SHIM Pointer g_thread_pool_new(Work work, Pointer context, int most, int exclusive, Pointer error) {
    const auto next = next_pool_new.of(PYTHON_TSAN_CALLER);
    return made_pool(work, context,
                     [&](Work shown, Pointer given) { return next(shown, given, most, exclusive, error); });
}

PYTHON_TSAN_SHIM Pointer
g_thread_pool_new_full(Work work, Pointer context, FreeItem free, int most, int exclusive, Pointer error) {
    const auto next = next_pool_new_full.of(PYTHON_TSAN_CALLER);
    return made_pool(work, context,
                     [&](Work shown, Pointer given) { return next(shown, given, free, most, exclusive, error); });
}

PYTHON_TSAN_SHIM int g_thread_pool_push(Pointer pool, Pointer data, Pointer error) {
    if (Pool* kept = pool_of(pool)) {
        release(&kept->given);
    }
    return next_pool_push.of(PYTHON_TSAN_CALLER)(pool, data, error);
}

PYTHON_TSAN_SHIM void g_thread_pool_free(Pointer pool, int immediate, int wait) {
    Pool* kept = pool_of(pool);
    if (kept != nullptr) {
        kept->pool.store(nullptr, std::memory_order_release);
    }
    next_pool_free.of(PYTHON_TSAN_CALLER)(pool, immediate, wait);
    if (kept != nullptr && wait != 0) {
        acquire(&kept->done);
    }
}
