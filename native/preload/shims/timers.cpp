// Timers and message queues that start a thread (SIGEV_THREAD). The C library starts it inside itself, so the runtime
// does not know it, and dies in it. Here the same is done by pthread_create: the kernel signals a thread that waits for
// timers, and writes to a socket that another one reads for message queues. Those start the program's threads.
#include "../common/raw.hpp"
#include "descriptors.hpp"
#include "shim.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <linux/mqueue.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>

namespace {

using namespace python_tsan::shims;
using preload::as_long;
using preload::raw_call;

constexpr Group kGroup = Group::timers;
constexpr int kSignal = 32; // the C library's own for timers: a program can neither block nor take it
constexpr std::uint64_t kAllSignals = ~std::uint64_t{0};
constexpr std::uint64_t kTimerSignal = std::uint64_t{1} << (kSignal - 1);
constexpr long kMaskBytes = sizeof kAllSignals; // of the kernel's sets of signals
constexpr unsigned kMostTimers = 256;

using Notify = void (*)(sigval);

/// What one call of a program's function needs. The timer may be deleted meanwhile.
struct Call {
    Notify notify;
    sigval value;
    const void* token;
};

/// `turn` counts how often the place was taken and given back: it is odd while a timer has it.
struct Timer {
    std::atomic<unsigned> turn{0};
    std::atomic<bool> is_ready{false};
    timer_t handle{};
    Call call{};
    std::size_t stack_bytes = 0; // 0: as usual
};

Timer timers[kMostTimers];
std::atomic<long> waiting_process{0}; // has a thread that waits, or is about to: a child by fork has none
std::atomic<long> waiting_thread{0};

Next<int (*)(clockid_t, sigevent*, timer_t*)> next_create("timer_create");
Next<int (*)(timer_t)> next_delete("timer_delete");
Next<int (*)(timer_t, int, const itimerspec*, itimerspec*)> next_settime("timer_settime");

std::uint64_t exchange_signal_mask(std::uint64_t mask) {
    std::uint64_t before = 0;
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, as_long(&mask), as_long(&before), kMaskBytes);
    return before;
}

void* run_call(void* given) {
    const Call call = *static_cast<Call*>(given);
    std::free(given);
    exchange_signal_mask(0);
    acquire_if(call.token);
    call.notify(call.value);
    return nullptr;
}

bool start_thread(void* (*function)(void*), void* argument, std::size_t stack_bytes) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (stack_bytes != 0) {
        pthread_attr_setstacksize(&attributes, stack_bytes);
    }
    pthread_t thread{};
    const bool started = pthread_create(&thread, &attributes, function, argument) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

void start_call(const Call& call, std::size_t stack_bytes) {
    void* memory = std::malloc(sizeof call);
    if (memory != nullptr) {
        *static_cast<Call*>(memory) = call;
        if (!start_thread(run_call, memory, stack_bytes)) {
            std::free(memory);
        }
    }
}

/// `value` names a place and its turn; the expiry of a timer that is deleted comes too late.
void expired(unsigned value) {
    Timer& timer = timers[value % kMostTimers];
    const unsigned turn = timer.turn.load(std::memory_order_acquire);
    const bool is_known = turn % (1U << 24U) == value / kMostTimers && timer.is_ready.load(std::memory_order_acquire);
    const Call call = timer.call;
    const std::size_t stack_bytes = timer.stack_bytes;
    if (is_known && timer.turn.load(std::memory_order_acquire) == turn) {
        start_call(call, stack_bytes);
    }
}

[[noreturn]] void* wait_for_timers(void*) {
    exchange_signal_mask(kAllSignals); // those of the C library too, which it lets into a new thread
    waiting_thread.store(raw_call(SYS_gettid), std::memory_order_release);
    for (;;) {
        siginfo_t details{};
        if (raw_call(SYS_rt_sigtimedwait, as_long(&kTimerSignal), as_long(&details), 0, kMaskBytes) == kSignal) {
            expired(static_cast<unsigned>(details.si_value.sival_int));
        }
    }
}

/// The thread that waits in this process, 0 if it cannot be started.
long waiter() {
    const long process = raw_call(SYS_getpid);
    if (waiting_process.exchange(process) != process) {
        waiting_thread.store(0, std::memory_order_relaxed);
        const std::uint64_t before = exchange_signal_mask(kAllSignals); // which the new thread inherits
        const bool started = start_thread(wait_for_timers, nullptr, 0);
        exchange_signal_mask(before);
        if (!started) {
            waiting_process.store(0);
            return 0;
        }
    }
    while (waiting_thread.load(std::memory_order_acquire) == 0) {
        raw_call(SYS_sched_yield);
    }
    return waiting_thread.load(std::memory_order_relaxed);
}

/// Null if all places are taken.
Timer* take_place() {
    for (Timer& timer : timers) {
        unsigned turn = timer.turn.load(std::memory_order_relaxed);
        if (turn % 2 == 0 && timer.turn.compare_exchange_strong(turn, turn + 1)) {
            return &timer;
        }
    }
    return nullptr;
}

void give_back(Timer& timer) {
    timer.is_ready.store(false, std::memory_order_relaxed);
    timer.turn.fetch_add(1, std::memory_order_release);
}

Timer* timer_of(timer_t handle) {
    for (Timer& timer : timers) {
        if (timer.is_ready.load(std::memory_order_acquire) && timer.handle == handle) {
            return &timer;
        }
    }
    return nullptr;
}

// --- message queues -------------------------------------------------------------------------------------------------

/// What the kernel keeps of a registration, and writes to the socket with what became of it in the last byte.
union Cookie {
    struct {
        Call call;
        std::uint32_t stack_kilobytes;
    } given;
    char bytes[NOTIFY_COOKIE_LEN];
};
static_assert(sizeof(Cookie::given) <= NOTIFY_COOKIE_LEN);

Next<int (*)(int, const sigevent*)> next_notify("mq_notify");
std::atomic<long> reading_process{0}; // has a thread that reads the socket
std::atomic<int> notifications{-1};

void* read_notifications(void*) {
    exchange_signal_mask(kAllSignals);
    Cookie cookie{};
    for (long size = 0; size >= 0 || size == -EINTR;) {
        size = raw_call(SYS_recvfrom, notifications.load(), as_long(&cookie), sizeof cookie, MSG_WAITALL, 0, 0);
        if (size == sizeof cookie && cookie.bytes[NOTIFY_COOKIE_LEN - 1] == NOTIFY_WOKENUP) {
            start_call(cookie.given.call, std::size_t{cookie.given.stack_kilobytes} * 1024);
        }
    }
    reading_process.store(0); // the program has closed the socket
    return nullptr;
}

/// The socket that is read in this process, -1 if there cannot be one.
int notification_socket() {
    const long process = raw_call(SYS_getpid);
    if (reading_process.exchange(process) != process) {
        const long made = raw_call(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        notifications.store(static_cast<int>(made < 0 ? -1 : made));
        const std::uint64_t before = exchange_signal_mask(kAllSignals); // which the new thread inherits
        if (made < 0 || !start_thread(read_notifications, nullptr, 0)) {
            reading_process.store(0);
            notifications.store(-1);
        }
        exchange_signal_mask(before);
    }
    return notifications.load();
}

} // namespace

PYTHON_TSAN_SHIM int mq_notify(int queue, const sigevent* event) noexcept {
    const bool starts_thread = event != nullptr && event->sigev_notify == SIGEV_THREAD && is_on(kGroup);
    const int socket = starts_thread ? notification_socket() : -1;
    if (socket < 0) {
        return next_notify(queue, event);
    }
    Cookie cookie{};
    cookie.given.call = Call{event->sigev_notify_function, event->sigev_value, queue_token(queue)};
    std::size_t stack_bytes = 0;
    if (event->sigev_notify_attributes != nullptr) {
        pthread_attr_getstacksize(event->sigev_notify_attributes, &stack_bytes);
    }
    cookie.given.stack_kilobytes = static_cast<std::uint32_t>(stack_bytes / 1024);
    sigevent registered{};
    registered.sigev_notify = SIGEV_THREAD;
    registered.sigev_signo = socket;
    registered.sigev_value.sival_ptr = &cookie;
    release_if(cookie.given.call.token);
    const long result = raw_call(SYS_mq_notify, queue, as_long(&registered));
    if (result < 0) {
        errno = static_cast<int>(-result);
    }
    return result < 0 ? -1 : 0;
}

PYTHON_TSAN_SHIM int timer_create(clockid_t clock, sigevent* event, timer_t* handle) noexcept {
    const bool starts_threads = event != nullptr && event->sigev_notify == SIGEV_THREAD && is_on(kGroup);
    const long thread = starts_threads ? waiter() : 0;
    Timer* timer = thread != 0 ? take_place() : nullptr;
    if (timer == nullptr) {
        return next_create(clock, event, handle);
    }
    const unsigned turn = timer->turn.load(std::memory_order_relaxed) % (1U << 24U);
    sigevent signalled{};
    signalled.sigev_notify = SIGEV_THREAD_ID;
    signalled._sigev_un._tid = static_cast<int>(thread);
    signalled.sigev_signo = kSignal;
    signalled.sigev_value.sival_int = static_cast<int>(turn * kMostTimers + static_cast<unsigned>(timer - timers));
    timer->call = Call{event->sigev_notify_function, event->sigev_value, timer};
    timer->stack_bytes = 0;
    if (event->sigev_notify_attributes != nullptr) {
        pthread_attr_getstacksize(event->sigev_notify_attributes, &timer->stack_bytes);
    }
    const int result = next_create(clock, &signalled, handle);
    if (result != 0) {
        give_back(*timer);
        return result;
    }
    timer->handle = *handle;
    release(timer);
    timer->is_ready.store(true, std::memory_order_release);
    return result;
}

PYTHON_TSAN_SHIM int timer_settime(timer_t handle, int flags, const itimerspec* time, itimerspec* old) noexcept {
    if (const Timer* timer = timer_of(handle)) {
        release(timer);
    }
    return next_settime(handle, flags, time, old);
}

PYTHON_TSAN_SHIM int timer_delete(timer_t handle) noexcept {
    if (Timer* timer = timer_of(handle)) {
        give_back(*timer);
    }
    return next_delete(handle);
}
