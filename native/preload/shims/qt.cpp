// Qt's locks, which wait by futex inside libQt5Core and libQt6Core: QMutex, QReadWriteLock, QWaitCondition, QSemaphore,
// QThreadPool, QtConcurrent, QFuture.
//
// A program inlines parts of QBasicMutex, whose atomics the sanitizer sees at the object's address. So the shims
// acquire and release there, and report no mutex. What libQt5Core calls inside itself does not pass here.
#include "../common/raw.hpp"
#include "shim.hpp"

#include <cstddef>
#include <cstring>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

namespace {

using namespace python_tsan::shims;

constexpr Group kGroup = Group::qt;

using Object = void*;
using Call = void (*)(Object);
using Ask = bool (*)(Object);
using Timed = bool (*)(Object, int);

} // namespace

#define PYTHON_TSAN_QT_LOCK(NAME)                                                                                      \
    static CallersNext<Call> next_##NAME(#NAME);                                                                       \
    PYTHON_TSAN_SHIM void NAME(Object object) {                                                                        \
        next_##NAME.of(PYTHON_TSAN_CALLER)(object);                                                                    \
        if (is_on(kGroup)) {                                                                                           \
            acquire(object);                                                                                           \
        }                                                                                                              \
    }

#define PYTHON_TSAN_QT_UNLOCK(NAME)                                                                                    \
    static CallersNext<Call> next_##NAME(#NAME);                                                                       \
    PYTHON_TSAN_SHIM void NAME(Object object) {                                                                        \
        if (is_on(kGroup)) {                                                                                           \
            release(object);                                                                                           \
        }                                                                                                              \
        next_##NAME.of(PYTHON_TSAN_CALLER)(object);                                                                    \
    }

#define PYTHON_TSAN_QT_TRY(NAME)                                                                                       \
    static CallersNext<Timed> next_##NAME(#NAME);                                                                      \
    PYTHON_TSAN_SHIM bool NAME(Object object, int argument) {                                                          \
        const bool taken = next_##NAME.of(PYTHON_TSAN_CALLER)(object, argument);                                       \
        if (taken && is_on(kGroup)) {                                                                                  \
            acquire(object);                                                                                           \
        }                                                                                                              \
        return taken;                                                                                                  \
    }

PYTHON_TSAN_QT_LOCK(_ZN6QMutex4lockEv)
PYTHON_TSAN_QT_TRY(_ZN6QMutex7tryLockEi)
PYTHON_TSAN_QT_UNLOCK(_ZN6QMutex6unlockEv)
PYTHON_TSAN_QT_LOCK(_ZN11QBasicMutex12lockInternalEv)
PYTHON_TSAN_QT_TRY(_ZN11QBasicMutex12lockInternalEi)
PYTHON_TSAN_QT_UNLOCK(_ZN11QBasicMutex14unlockInternalEv)
PYTHON_TSAN_QT_TRY(_ZN15QRecursiveMutex7tryLockEi) // Qt 6
PYTHON_TSAN_QT_UNLOCK(_ZN15QRecursiveMutex6unlockEv)

// QSemaphore

PYTHON_TSAN_QT_TRY(_ZN10QSemaphore10tryAcquireEi)

static CallersNext<void (*)(Object, int)> next_acquire("_ZN10QSemaphore7acquireEi");
static CallersNext<void (*)(Object, int)> next_release("_ZN10QSemaphore7releaseEi");
static CallersNext<bool (*)(Object, int, int)> next_try_acquire("_ZN10QSemaphore10tryAcquireEii");

PYTHON_TSAN_SHIM void _ZN10QSemaphore7acquireEi(Object semaphore, int count) {
    next_acquire.of(PYTHON_TSAN_CALLER)(semaphore, count);
    if (is_on(kGroup)) {
        acquire(semaphore);
    }
}

PYTHON_TSAN_SHIM void _ZN10QSemaphore7releaseEi(Object semaphore, int count) {
    if (is_on(kGroup)) {
        release(semaphore);
    }
    next_release.of(PYTHON_TSAN_CALLER)(semaphore, count);
}

PYTHON_TSAN_SHIM bool _ZN10QSemaphore10tryAcquireEii(Object semaphore, int count, int limit) {
    const bool taken = next_try_acquire.of(PYTHON_TSAN_CALLER)(semaphore, count, limit);
    if (taken && is_on(kGroup)) {
        acquire(semaphore);
    }
    return taken;
}

// QReadWriteLock: a reader sees the writers, a writer sees both. Readers release at the next address.

namespace {

constexpr std::size_t kMostWritten = 16;
thread_local Object written[kMostWritten]; // the locks that this thread has for writing

Object* written_place(Object wanted) {
    for (Object& place : written) {
        if (place == wanted) {
            return &place;
        }
    }
    return nullptr;
}

void taken_for_reading(Object lock) {
    if (is_on(kGroup)) {
        acquire(lock);
    }
}

void taken_for_writing(Object lock) {
    if (is_on(kGroup)) {
        acquire(lock);
        acquire(static_cast<char*>(lock) + 1);
        if (Object* place = written_place(nullptr)) {
            *place = lock;
        }
    }
}

} // namespace

#define PYTHON_TSAN_QT_RW(NAME, TAKEN)                                                                                 \
    static CallersNext<Call> next_##NAME(#NAME);                                                                       \
    PYTHON_TSAN_SHIM void NAME(Object lock) {                                                                          \
        next_##NAME.of(PYTHON_TSAN_CALLER)(lock);                                                                      \
        TAKEN(lock);                                                                                                   \
    }

#define PYTHON_TSAN_QT_TRY_RW(NAME, PARAMETERS, ARGUMENTS, TAKEN)                                                      \
    static CallersNext<bool(*) PARAMETERS> next_##NAME(#NAME);                                                         \
    PYTHON_TSAN_SHIM bool NAME PARAMETERS {                                                                            \
        const bool taken = next_##NAME.of(PYTHON_TSAN_CALLER) ARGUMENTS;                                               \
        if (taken) {                                                                                                   \
            TAKEN(lock);                                                                                               \
        }                                                                                                              \
        return taken;                                                                                                  \
    }

PYTHON_TSAN_QT_RW(_ZN14QReadWriteLock11lockForReadEv, taken_for_reading)
PYTHON_TSAN_QT_RW(_ZN14QReadWriteLock12lockForWriteEv, taken_for_writing)
PYTHON_TSAN_QT_TRY_RW(_ZN14QReadWriteLock14tryLockForReadEv, (Object lock), (lock), taken_for_reading)
PYTHON_TSAN_QT_TRY_RW(_ZN14QReadWriteLock14tryLockForReadEi, (Object lock, int limit), (lock, limit), taken_for_reading)
PYTHON_TSAN_QT_TRY_RW(_ZN14QReadWriteLock15tryLockForWriteEv, (Object lock), (lock), taken_for_writing)
PYTHON_TSAN_QT_TRY_RW(_ZN14QReadWriteLock15tryLockForWriteEi,
                      (Object lock, int limit),
                      (lock, limit),
                      taken_for_writing)

static CallersNext<Call> next_rw_unlock("_ZN14QReadWriteLock6unlockEv");

PYTHON_TSAN_SHIM void _ZN14QReadWriteLock6unlockEv(Object lock) {
    if (is_on(kGroup)) {
        Object* place = written_place(lock);
        release(place != nullptr ? lock : static_cast<char*>(lock) + 1);
        if (place != nullptr) {
            *place = nullptr;
        }
    }
    next_rw_unlock.of(PYTHON_TSAN_CALLER)(lock);
}

// QWaitCondition unlocks the mutex and locks it again, inside libQt5Core.

namespace {

CallersNext<const char* (*)()> next_version("qVersion");

/// Whether the Qt that this caller calls is of version 6.
bool is_qt6(const void* caller) {
    const auto version = next_version.of(caller);
    return version != nullptr && version()[0] != '5';
}

/// Qt 6 reports its mutexes itself, where instrumented code locks them inline. Returns whether this thread had the
/// mutex, to the sanitizer's knowledge; it is unlocked then.
bool unlocked_if_reported(Object mutex) {
    __tsan_mutex_pre_lock(mutex, kTry);
    __tsan_mutex_post_lock(mutex, kTry, 0);
    const int depth = __tsan_mutex_pre_unlock(mutex, kWhole);
    __tsan_mutex_post_unlock(mutex, kWhole);
    return depth > 1;
}

/// A QDeadlineTimer, which is passed in two registers.
struct Deadline {
    std::int64_t first;
    std::int64_t second;
};

template <typename Limit>
bool wait(CallersNext<bool (*)(Object, Object, Limit)>& next,
          const void* caller,
          Object condition,
          Object mutex,
          Limit limit) {
    const bool on = mutex != nullptr && is_on(kGroup);
    if (on) {
        release(mutex);
    }
    const bool reported = on && is_qt6(caller) && unlocked_if_reported(mutex);
    const bool woken = next.of(caller)(condition, mutex, limit);
    if (on) {
        acquire(mutex);
    }
    if (reported) {
        locked(mutex, kTry);
    }
    return woken;
}

CallersNext<bool (*)(Object, Object, unsigned long)> next_wait("_ZN14QWaitCondition4waitEP6QMutexm");
CallersNext<bool (*)(Object, Object, Deadline)> next_wait_until("_ZN14QWaitCondition4waitEP6QMutex14QDeadlineTimer");

} // namespace

PYTHON_TSAN_SHIM bool _ZN14QWaitCondition4waitEP6QMutexm(Object condition, Object mutex, unsigned long limit) {
    return wait(next_wait, PYTHON_TSAN_CALLER, condition, mutex, limit);
}

PYTHON_TSAN_SHIM bool
_ZN14QWaitCondition4waitEP6QMutex14QDeadlineTimer(Object condition, Object mutex, Deadline limit) {
    return wait(next_wait_until, PYTHON_TSAN_CALLER, condition, mutex, limit);
}

// QThreadPool: a proxy runs in the place of each QRunnable, and acquires what was released at its start.

namespace {

/// A std::function of libstdc++, which may be moved by copying it: what is not trivial lies on the heap.
struct Function {
    void* storage[2];
    bool (*manage)(void* to, const void* from, int operation);
    void (*invoke)(const void* storage);
};

/// The layout of a QRunnable: the table of its virtual functions (run and two destructors), and its count in Qt 5. Qt 6
/// has one byte there: whether the pool deletes it.
struct Runnable {
    Call* table;
    int count;
};

struct Proxy {
    Runnable base;
    Runnable* real;
    Function function;
    Object pool;
    bool is_qt6;
    bool deletes; // Qt 6: as the runnable states before it ran, after which it may be gone
    std::atomic<bool> taken;
};

constexpr std::size_t kRun = 0;
constexpr std::size_t kDelete = 2;
constexpr int kNotDeleted = -1;
constexpr int kNew = 0;       // a count of Qt 5
constexpr int kIsDeleted = 1; // a flag of Qt 6

bool is_deleted_by_qt6(const Runnable* real) {
    return *reinterpret_cast<const bool*>(&real->count);
}
constexpr int kDestroy = 3; // of std::function's manager

// Work beyond this is not shimmed.
constexpr std::size_t kMostProxies = 1024;
Proxy proxies[kMostProxies];

char* done_token(Object pool) {
    return static_cast<char*>(pool) + 1;
}

void run_proxy(Object object) {
    auto& proxy = *static_cast<Proxy*>(object);
    Object pool = proxy.pool;
    acquire(&proxy);
    if (proxy.real != nullptr) {
        proxy.deletes = proxy.is_qt6 && is_deleted_by_qt6(proxy.real);
        proxy.real->table[kRun](proxy.real);
    } else {
        proxy.function.invoke(proxy.function.storage);
    }
    release(done_token(pool));
}

void keep_proxy(Object) {}

void delete_proxy(Object object) {
    auto& proxy = *static_cast<Proxy*>(object);
    if (proxy.real == nullptr) {
        if (proxy.function.manage != nullptr) {
            proxy.function.manage(proxy.function.storage, proxy.function.storage, kDestroy);
        }
    } else if (proxy.is_qt6 ? proxy.deletes : proxy.real->count != kNotDeleted && --proxy.real->count == 0) {
        proxy.real->table[kDelete](proxy.real);
    }
    proxy.taken.store(false, std::memory_order_release);
}

/// The two entries before the functions are the offset to the whole object and its type.
Call proxy_table[] = {nullptr, nullptr, run_proxy, keep_proxy, delete_proxy};

Proxy* new_proxy(Object pool, Runnable* real, const void* caller) {
    if (!is_on(kGroup)) {
        return nullptr;
    }
    for (Proxy& proxy : proxies) {
        bool taken = false;
        if (!proxy.taken.load(std::memory_order_relaxed) && proxy.taken.compare_exchange_strong(taken, true)) {
            proxy.is_qt6 = is_qt6(caller);
            proxy.base = Runnable{proxy_table + 2, proxy.is_qt6 ? kIsDeleted : kNew};
            proxy.real = real;
            proxy.function = Function{};
            proxy.pool = pool;
            if (real != nullptr && proxy.is_qt6) {
                proxy.deletes = is_deleted_by_qt6(real);
            } else if (real != nullptr && real->count != kNotDeleted) {
                ++real->count; // as QThreadPool does
            }
            release(&proxy);
            return &proxy;
        }
    }
    return nullptr;
}

/// A proxy that was not started, or was taken back, leaves its QRunnable as it was.
void withdraw(Proxy* proxy) {
    if (!proxy->is_qt6 && proxy->real->count != kNotDeleted) {
        --proxy->real->count;
    }
    proxy->taken.store(false, std::memory_order_release);
}

Proxy* proxy_of(const Runnable* real) {
    for (Proxy& proxy : proxies) {
        if (proxy.taken.load(std::memory_order_acquire) && proxy.real == real) {
            return &proxy;
        }
    }
    return nullptr;
}

void move_function(Proxy& proxy, Object function) {
    std::memcpy(&proxy.function, function, sizeof proxy.function);
    static_cast<Function*>(function)->manage = nullptr;
}

CallersNext<void (*)(Object, Object, int)> next_start("_ZN11QThreadPool5startEP9QRunnablei");
CallersNext<void (*)(Object, Object, int)> next_start_function("_ZN11QThreadPool5startESt8functionIFvvEEi");
CallersNext<bool (*)(Object, Object)> next_try_start("_ZN11QThreadPool8tryStartEP9QRunnable");
CallersNext<bool (*)(Object, Object)> next_try_take("_ZN11QThreadPool7tryTakeEP9QRunnable");
CallersNext<Timed> next_wait_for_done("_ZN11QThreadPool11waitForDoneEi");

} // namespace

PYTHON_TSAN_SHIM void _ZN11QThreadPool5startEP9QRunnablei(Object pool, Object runnable, int priority) {
    Proxy* proxy =
        runnable == nullptr ? nullptr : new_proxy(pool, static_cast<Runnable*>(runnable), PYTHON_TSAN_CALLER);
    next_start.of(PYTHON_TSAN_CALLER)(pool, proxy == nullptr ? runnable : proxy, priority);
}

PYTHON_TSAN_SHIM void _ZN11QThreadPool5startESt8functionIFvvEEi(Object pool, Object function, int priority) {
    Proxy* proxy =
        static_cast<Function*>(function)->manage == nullptr ? nullptr : new_proxy(pool, nullptr, PYTHON_TSAN_CALLER);
    if (proxy == nullptr) {
        next_start_function.of(PYTHON_TSAN_CALLER)(pool, function, priority);
        return;
    }
    move_function(*proxy, function);
    next_start.of(PYTHON_TSAN_CALLER)(pool, proxy, priority);
}

PYTHON_TSAN_SHIM bool _ZN11QThreadPool8tryStartEP9QRunnable(Object pool, Object runnable) {
    Proxy* proxy =
        runnable == nullptr ? nullptr : new_proxy(pool, static_cast<Runnable*>(runnable), PYTHON_TSAN_CALLER);
    if (proxy == nullptr) {
        return next_try_start.of(PYTHON_TSAN_CALLER)(pool, runnable);
    }
    const bool started = next_try_start.of(PYTHON_TSAN_CALLER)(pool, proxy);
    if (!started) {
        withdraw(proxy);
    }
    return started;
}

PYTHON_TSAN_SHIM bool _ZN11QThreadPool7tryTakeEP9QRunnable(Object pool, Object runnable) {
    Proxy* proxy = proxy_of(static_cast<Runnable*>(runnable));
    if (proxy == nullptr) {
        return next_try_take.of(PYTHON_TSAN_CALLER)(pool, runnable);
    }
    const bool taken = next_try_take.of(PYTHON_TSAN_CALLER)(pool, proxy);
    if (taken) {
        withdraw(proxy);
    }
    return taken;
}

PYTHON_TSAN_SHIM bool _ZN11QThreadPool11waitForDoneEi(Object pool, int limit) {
    const bool done = next_wait_for_done.of(PYTHON_TSAN_CALLER)(pool, limit);
    if (done && is_on(kGroup)) {
        acquire(done_token(pool));
    }
    return done;
}

// QThread: `wait` on a thread that has ended waits for nothing that the sanitizer sees, as the thread is detached. The
// thread's own function follows at once, and its end is waited for.

namespace {

using ThreadFunction = void* (*)(void*);
using CreateThread = int (*)(pthread_t*, const pthread_attr_t*, ThreadFunction, void*);

/// One thread of a QThread.
struct Started {
    std::atomic<bool> taken{false};
    std::atomic<bool> ended{false};
    std::atomic<Object> thread{nullptr}; // the QThread
    ThreadFunction function = nullptr;
    void* argument = nullptr;
};

constexpr std::size_t kMostThreads = 1024; // more that run at one time are not shimmed
Started started_threads[kMostThreads];
thread_local Object starting = nullptr;  // the QThread that this thread starts now
thread_local Started* created = nullptr; // the last thread that it created for it: the runtime may create its own first

void* run_started(void* argument) {
    auto& place = *static_cast<Started*>(argument);
    void* result = place.function(place.argument);
    release(&place);
    place.ended.store(true, std::memory_order_release);
    return result;
}

bool claim(Started& place) {
    bool ended = true;
    bool taken = false;
    if (!place.taken.compare_exchange_strong(taken, true) && !place.ended.compare_exchange_strong(ended, false)) {
        return false;
    }
    place.thread.store(nullptr, std::memory_order_relaxed);
    return true;
}

/// The place that this QThread had, else a free one, else one whose thread has ended. Null if all run.
Started* new_place(Object thread) {
    const auto find = [&](auto fits) -> Started* {
        for (Started& place : started_threads) {
            if (fits(place) && claim(place)) {
                return &place;
            }
        }
        return nullptr;
    };
    Started* found = find([&](Started& place) { return place.thread.load(std::memory_order_relaxed) == thread; });
    found =
        found != nullptr ? found : find([](Started& place) { return !place.taken.load(std::memory_order_relaxed); });
    return found != nullptr ? found : find([](Started&) { return true; });
}

bool waited_for(Object thread, bool done) {
    constexpr int kMostTurns = 10'000; // a second; a thread that was cancelled does not come back
    constexpr timespec kTurn{0, 100'000};
    if (!done || !is_on(kGroup)) {
        return done;
    }
    for (Started& place : started_threads) {
        if (place.thread.load(std::memory_order_acquire) == thread) {
            for (int turn = 0; turn < kMostTurns && !place.ended.load(std::memory_order_acquire); ++turn) {
                nanosleep(&kTurn, nullptr);
            }
            acquire(&place);
        }
    }
    return done;
}

Next<CreateThread> next_create("pthread_create");
CallersNext<void (*)(Object, int)> next_thread_start("_ZN7QThread5startENS_8PriorityE");
CallersNext<bool (*)(Object, unsigned long)> next_thread_wait("_ZN7QThread4waitEm");
CallersNext<bool (*)(Object, Deadline)> next_thread_wait_until("_ZN7QThread4waitE14QDeadlineTimer");

} // namespace

PYTHON_TSAN_SHIM void _ZN7QThread5startENS_8PriorityE(Object thread, int priority) {
    starting = is_on(kGroup) ? thread : nullptr;
    created = nullptr;
    next_thread_start.of(PYTHON_TSAN_CALLER)(thread, priority);
    starting = nullptr;
    if (created != nullptr) {
        created->thread.store(thread, std::memory_order_release);
    }
}

/// The call of the next one is the last, so that no frame of this library is on the stack of a thread's creation.
PYTHON_TSAN_SHIM int
pthread_create(pthread_t* handle, const pthread_attr_t* attributes, ThreadFunction function, void* argument) {
    Started* place = starting == nullptr ? nullptr : new_place(starting);
    if (place != nullptr) {
        created = place;
        place->function = function;
        place->argument = argument;
        function = run_started;
        argument = place;
    }
    return next_create(handle, attributes, function, argument);
}

PYTHON_TSAN_SHIM bool _ZN7QThread4waitEm(Object thread, unsigned long limit) {
    return waited_for(thread, next_thread_wait.of(PYTHON_TSAN_CALLER)(thread, limit));
}

PYTHON_TSAN_SHIM bool _ZN7QThread4waitE14QDeadlineTimer(Object thread, Deadline limit) {
    return waited_for(thread, next_thread_wait_until.of(PYTHON_TSAN_CALLER)(thread, limit));
}

// QtConcurrent: each of an engine's threads counts itself out inside libQt6Concurrent, and the last one finishes the
// engine and deletes it. Here it first waits until the others have left the engine, which none of them hinders.
//
// That last step is a virtual function of a class template, so its entry in the table of each such class is replaced.
// Qt keeps the order of the entries within a major version; in 5 and 6 it is the same.

namespace {

/// An engine that threads run. Engines beyond these are not shimmed.
struct Engine {
    std::atomic<Object> object{nullptr};
    std::atomic<int> threads{0};
};
constexpr std::size_t kMostEngines = 128;
Engine engines[kMostEngines];
__thread Engine* entered = nullptr; // by this thread

/// The entries before it: run, two destructors, start, finish, threadFunction, shouldStartThread, shouldThrottleThread.
constexpr std::size_t kAsynchronousFinish = 8;

struct Replaced {
    std::atomic<Call*> table{nullptr};
    std::atomic<Call> finish{nullptr};
};
constexpr std::size_t kMostClasses = 256;
Replaced replaced[kMostClasses];

Engine* enter(Object object) {
    for (Engine& engine : engines) {
        Object known = nullptr;
        if (engine.object.compare_exchange_strong(known, object) || known == object) {
            engine.threads.fetch_add(1, std::memory_order_acq_rel);
            return &engine;
        }
    }
    return nullptr;
}

void leave(Engine& engine) {
    if (engine.threads.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        engine.object.store(nullptr, std::memory_order_release);
    }
}

void finish(Object object) {
    Engine* engine = entered;
    if (engine != nullptr && engine->object.load(std::memory_order_relaxed) == object) {
        while (engine->threads.load(std::memory_order_acquire) > 1) {
            sched_yield();
        }
        acquire(object);
        leave(*engine); // the engine is deleted before its run returns
        entered = nullptr;
    }
    Call* table = static_cast<Runnable*>(object)->table;
    for (const Replaced& each : replaced) {
        if (each.table.load(std::memory_order_acquire) == table) {
            each.finish.load(std::memory_order_acquire)(object);
            return;
        }
    }
}

/// Whether the table of a class has our entry now.
bool replace(Call* table) {
    for (Replaced& each : replaced) {
        Call* known = nullptr;
        if (each.table.compare_exchange_strong(known, table)) {
            Call* entry = table + kAsynchronousFinish;
            each.finish.store(*entry, std::memory_order_release);
            const auto page = static_cast<std::uint64_t>(getpagesize());
            const auto address = reinterpret_cast<std::uint64_t>(entry);
            if (preload::raw_call(SYS_mprotect, static_cast<long>(address & ~(page - 1)), static_cast<long>(page),
                                  PROT_READ | PROT_WRITE) != 0) {
                return false;
            }
            __atomic_store_n(entry, &finish, __ATOMIC_RELEASE);
            return true;
        }
        if (known == table) {
            return __atomic_load_n(table + kAsynchronousFinish, __ATOMIC_ACQUIRE) == &finish;
        }
    }
    return false;
}

CallersNext<Call> next_run_engine("_ZN12QtConcurrent16ThreadEngineBase3runEv");

} // namespace

PYTHON_TSAN_SHIM void _ZN12QtConcurrent16ThreadEngineBase3runEv(Object object) {
    Engine* outer = entered;
    entered = is_on(kGroup) && replace(static_cast<Runnable*>(object)->table) ? enter(object) : nullptr;
    next_run_engine.of(PYTHON_TSAN_CALLER)(object);
    if (entered != nullptr) {
        release(object);
        leave(*entered);
    }
    entered = outer;
}

// QFuture: what was done before a result or the end was reported comes before what is done when it is seen, and what
// was done before a reference was given back before what the last one does.

namespace {

/// The layout of a QFutureInterfaceBase: its table, and what all copies share.
const void* shared_by(const void* future) {
    return static_cast<const void* const*>(future)[1];
}

void before_report(const void* future) {
    if (is_on(kGroup)) {
        release(shared_by(future));
    }
}

void after_report(const void* future) {
    if (is_on(kGroup)) {
        acquire(shared_by(future));
    }
}

CallersNext<Call> next_report_finished("_ZN20QFutureInterfaceBase14reportFinishedEv");
CallersNext<void (*)(Object, int, int)> next_results_ready("_ZN20QFutureInterfaceBase18reportResultsReadyEii");
CallersNext<Call> next_wait_for_finished("_ZN20QFutureInterfaceBase15waitForFinishedEv");
CallersNext<void (*)(Object, int)> next_wait_for_result("_ZN20QFutureInterfaceBase13waitForResultEi");
CallersNext<bool (*)(Object, int)> next_query_state("_ZNK20QFutureInterfaceBase10queryStateENS_5StateE");
CallersNext<Ask> next_deref("_ZNK20QFutureInterfaceBase6derefTEv");

} // namespace

PYTHON_TSAN_SHIM void _ZN20QFutureInterfaceBase14reportFinishedEv(Object future) {
    before_report(future);
    next_report_finished.of(PYTHON_TSAN_CALLER)(future);
}

PYTHON_TSAN_SHIM void _ZN20QFutureInterfaceBase18reportResultsReadyEii(Object future, int first, int last) {
    before_report(future);
    next_results_ready.of(PYTHON_TSAN_CALLER)(future, first, last);
}

PYTHON_TSAN_SHIM void _ZN20QFutureInterfaceBase15waitForFinishedEv(Object future) {
    next_wait_for_finished.of(PYTHON_TSAN_CALLER)(future);
    after_report(future);
}

PYTHON_TSAN_SHIM void _ZN20QFutureInterfaceBase13waitForResultEi(Object future, int index) {
    next_wait_for_result.of(PYTHON_TSAN_CALLER)(future, index);
    after_report(future);
}

PYTHON_TSAN_SHIM bool _ZNK20QFutureInterfaceBase10queryStateENS_5StateE(Object future, int state) {
    const bool result = next_query_state.of(PYTHON_TSAN_CALLER)(future, state);
    if (result) {
        after_report(future);
    }
    return result;
}

PYTHON_TSAN_SHIM bool _ZNK20QFutureInterfaceBase6derefTEv(Object future) {
    before_report(future);
    const bool is_left = next_deref.of(PYTHON_TSAN_CALLER)(future);
    if (!is_left) {
        after_report(future);
    }
    return is_left;
}
