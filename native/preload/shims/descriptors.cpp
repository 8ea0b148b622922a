// Waits for a descriptor: poll, epoll_wait and the end of a stream order what was done before the write or the close,
// and the runtime knows only what is read. So do splice and message queues.
//
// Each channel has tokens of its own, one for each direction: one token for all would order, and so hide, what nothing
// orders. A pipe, a socket pair, an event or timer descriptor and a message queue are known; of other sockets nobody
// knows here which two belong together, and they get none.
#include "descriptors.hpp"

#include "shim.hpp"

#include <mqueue.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

using namespace python_tsan::shims;

using Token = std::uint16_t;

constexpr Group kGroup = Group::descriptors;
constexpr int kMostDescriptors = 4096;
constexpr Token kMostTokens = 8192;
constexpr Token kSignals = 0xffff; // a signal descriptor: what is read from it names the tokens

alignas(8) char tokens[kMostTokens][8];
std::atomic<unsigned> tokens_used{1}; // 0 means no token; none is used again
std::atomic<Token> readable[kMostDescriptors];
std::atomic<Token> writable[kMostDescriptors];
std::atomic<Token> passed_from[kMostTokens]; // by splice: what arrives came from this one

bool is_known(int descriptor) {
    return descriptor >= 0 && descriptor < kMostDescriptors;
}

Token new_token() {
    const unsigned number = tokens_used.fetch_add(1, std::memory_order_relaxed);
    return number < kMostTokens ? static_cast<Token>(number) : Token{0};
}

void set(int descriptor, Token in, Token out) {
    if (is_known(descriptor)) {
        readable[descriptor].store(in, std::memory_order_relaxed);
        writable[descriptor].store(out, std::memory_order_relaxed);
    }
}

void before_write(int descriptor) {
    const Token token = is_known(descriptor) ? writable[descriptor].load(std::memory_order_relaxed) : Token{0};
    if (token != 0 && is_on(kGroup)) {
        release(tokens[token]);
    }
}

void after_ready(int descriptor) {
    const Token token = is_known(descriptor) ? readable[descriptor].load(std::memory_order_relaxed) : Token{0};
    if (token != 0 && token != kSignals && is_on(kGroup)) {
        acquire(tokens[token]);
        if (const Token before = passed_from[token].load(std::memory_order_relaxed); before != 0) {
            acquire(tokens[before]);
        }
    }
}

void before_splice(int in, int out) {
    const Token from = is_known(in) ? readable[in].load(std::memory_order_relaxed) : Token{0};
    const Token to = is_known(out) ? writable[out].load(std::memory_order_relaxed) : Token{0};
    if (from != kSignals) {
        passed_from[to].store(from, std::memory_order_relaxed);
    }
    before_write(out);
}

void after_read(int descriptor, const void* data, ssize_t size) {
    after_ready(descriptor);
    if (size > 0 && is_known(descriptor) && readable[descriptor].load(std::memory_order_relaxed) == kSignals) {
        const auto* signals = static_cast<const signalfd_siginfo*>(data);
        for (std::size_t index = 0; index < static_cast<std::size_t>(size) / sizeof *signals; ++index) {
            after_signal(static_cast<int>(signals[index].ssi_signo));
        }
    }
}

void forget(int descriptor) {
    before_write(descriptor);
    set(descriptor, 0, 0);
}

void copy(int from, int to) {
    if (is_known(from)) {
        set(to, readable[from].load(std::memory_order_relaxed), writable[from].load(std::memory_order_relaxed));
    }
}

void channel(int reader, int writer) {
    const Token token = is_on(kGroup) ? new_token() : Token{0};
    set(reader, token, 0);
    set(writer, 0, token);
}

/// A new descriptor that is both ends of its channel.
int with_one_token(int descriptor) {
    const Token token = descriptor >= 0 && is_on(kGroup) ? new_token() : Token{0};
    set(descriptor, token, token);
    return descriptor;
}

} // namespace

// What makes and ends descriptors.

static Next<int (*)(int*)> next_pipe("pipe");
static Next<int (*)(int*, int)> next_pipe2("pipe2");
static Next<int (*)(int, int, int, int*)> next_socketpair("socketpair");
static Next<int (*)(unsigned, int)> next_eventfd("eventfd");
static Next<int (*)(clockid_t, int)> next_timerfd_create("timerfd_create");
static Next<int (*)(int, int, const itimerspec*, itimerspec*)> next_timerfd_settime("timerfd_settime");
static Next<int (*)(int, const sigset_t*, int)> next_signalfd("signalfd");
static Next<int (*)(int)> next_dup("dup");
static Next<int (*)(int, int)> next_dup2("dup2");
static Next<int (*)(int, int, int)> next_dup3("dup3");
static Next<int (*)(int)> next_close("close");
static Next<int (*)(int, int)> next_shutdown("shutdown");

PYTHON_TSAN_SHIM int pipe(int* ends) noexcept {
    const int result = next_pipe(ends);
    if (result == 0) {
        channel(ends[0], ends[1]);
    }
    return result;
}

PYTHON_TSAN_SHIM int pipe2(int* ends, int flags) noexcept {
    const int result = next_pipe2(ends, flags);
    if (result == 0) {
        channel(ends[0], ends[1]);
    }
    return result;
}

PYTHON_TSAN_SHIM int socketpair(int domain, int type, int protocol, int* ends) noexcept {
    const int result = next_socketpair(domain, type, protocol, ends);
    if (result == 0 && is_on(kGroup)) {
        const Token there = new_token();
        const Token back = new_token();
        set(ends[0], back, there);
        set(ends[1], there, back);
    }
    return result;
}

PYTHON_TSAN_SHIM int eventfd(unsigned value, int flags) noexcept {
    return with_one_token(next_eventfd(value, flags));
}

PYTHON_TSAN_SHIM int timerfd_create(clockid_t clock, int flags) noexcept {
    return with_one_token(next_timerfd_create(clock, flags));
}

/// Who sees it expire sees what was done before it was set.
PYTHON_TSAN_SHIM int timerfd_settime(int descriptor, int flags, const itimerspec* time, itimerspec* old) noexcept {
    before_write(descriptor);
    return next_timerfd_settime(descriptor, flags, time, old);
}

PYTHON_TSAN_SHIM int signalfd(int descriptor, const sigset_t* mask, int flags) noexcept {
    const int result = next_signalfd(descriptor, mask, flags);
    set(result, kSignals, 0);
    return result;
}

PYTHON_TSAN_SHIM int dup(int from) noexcept {
    const int result = next_dup(from);
    copy(from, result);
    return result;
}

PYTHON_TSAN_SHIM int dup2(int from, int to) noexcept {
    if (from != to) {
        before_write(to); // it is closed
    }
    const int result = next_dup2(from, to);
    copy(from, result);
    return result;
}

PYTHON_TSAN_SHIM int dup3(int from, int to, int flags) noexcept {
    before_write(to);
    const int result = next_dup3(from, to, flags);
    copy(from, result);
    return result;
}

PYTHON_TSAN_SHIM int close(int descriptor) {
    forget(descriptor);
    return next_close(descriptor);
}

PYTHON_TSAN_SHIM int shutdown(int descriptor, int how) noexcept {
    before_write(descriptor);
    return next_shutdown(descriptor, how);
}

// What writes.

static Next<ssize_t (*)(int, const void*, std::size_t)> next_write("write");
static Next<int (*)(int, eventfd_t)> next_eventfd_write("eventfd_write");
static Next<ssize_t (*)(int, const iovec*, int)> next_writev("writev");
static Next<ssize_t (*)(int, const void*, std::size_t, int)> next_send("send");
static Next<ssize_t (*)(int, const msghdr*, int)> next_sendmsg("sendmsg");
static Next<ssize_t (*)(int, const void*, std::size_t, int, const sockaddr*, socklen_t)> next_sendto("sendto");
static Next<int (*)(int, mmsghdr*, unsigned, int)> next_sendmmsg("sendmmsg");
static Next<ssize_t (*)(int, off64_t*, int, off64_t*, std::size_t, unsigned)> next_splice("splice");

PYTHON_TSAN_SHIM ssize_t write(int descriptor, const void* data, std::size_t size) {
    before_write(descriptor);
    return next_write(descriptor, data, size);
}

/// The C library writes inside itself.
PYTHON_TSAN_SHIM int eventfd_write(int descriptor, eventfd_t value) {
    before_write(descriptor);
    return next_eventfd_write(descriptor, value);
}

PYTHON_TSAN_SHIM ssize_t writev(int descriptor, const iovec* parts, int count) {
    before_write(descriptor);
    return next_writev(descriptor, parts, count);
}

PYTHON_TSAN_SHIM ssize_t send(int descriptor, const void* data, std::size_t size, int flags) {
    before_write(descriptor);
    return next_send(descriptor, data, size, flags);
}

PYTHON_TSAN_SHIM ssize_t sendmsg(int descriptor, const msghdr* message, int flags) {
    before_write(descriptor);
    return next_sendmsg(descriptor, message, flags);
}

PYTHON_TSAN_SHIM ssize_t
sendto(int descriptor, const void* data, std::size_t size, int flags, const sockaddr* to, socklen_t length) {
    before_write(descriptor);
    return next_sendto(descriptor, data, size, flags, to, length);
}

PYTHON_TSAN_SHIM int sendmmsg(int descriptor, mmsghdr* messages, unsigned count, int flags) {
    before_write(descriptor);
    return next_sendmmsg(descriptor, messages, count, flags);
}

PYTHON_TSAN_SHIM ssize_t splice(int in, off64_t* from, int out, off64_t* to, std::size_t size, unsigned flags) {
    before_splice(in, out);
    const ssize_t result = next_splice(in, from, out, to, size, flags);
    if (result >= 0) {
        after_ready(in);
    }
    return result;
}

// What reads and waits.

static Next<ssize_t (*)(int, void*, std::size_t)> next_read("read");
static Next<ssize_t (*)(int, const iovec*, int)> next_readv("readv");
static Next<ssize_t (*)(int, void*, std::size_t, int)> next_recv("recv");
static Next<ssize_t (*)(int, msghdr*, int)> next_recvmsg("recvmsg");
static Next<ssize_t (*)(int, void*, std::size_t, int, sockaddr*, socklen_t*)> next_recvfrom("recvfrom");
static Next<int (*)(int, mmsghdr*, unsigned, int, timespec*)> next_recvmmsg("recvmmsg");
static Next<int (*)(int, fd_set*, fd_set*, fd_set*, timeval*)> next_select("select");
static Next<int (*)(int, fd_set*, fd_set*, fd_set*, const timespec*, const sigset_t*)> next_pselect("pselect");
static Next<int (*)(int, eventfd_t*)> next_eventfd_read("eventfd_read");
static Next<int (*)(pollfd*, nfds_t, int)> next_poll("poll");
static Next<int (*)(pollfd*, nfds_t, const timespec*, const sigset_t*)> next_ppoll("ppoll");

PYTHON_TSAN_SHIM int eventfd_read(int descriptor, eventfd_t* value) {
    const int result = next_eventfd_read(descriptor, value);
    if (result == 0) {
        after_ready(descriptor);
    }
    return result;
}

PYTHON_TSAN_SHIM ssize_t read(int descriptor, void* data, std::size_t size) {
    const ssize_t result = next_read(descriptor, data, size);
    if (result >= 0) {
        after_read(descriptor, data, result);
    }
    return result;
}

PYTHON_TSAN_SHIM ssize_t readv(int descriptor, const iovec* parts, int count) {
    const ssize_t result = next_readv(descriptor, parts, count);
    if (result >= 0) {
        after_ready(descriptor);
    }
    return result;
}

PYTHON_TSAN_SHIM ssize_t recv(int descriptor, void* data, std::size_t size, int flags) {
    const ssize_t result = next_recv(descriptor, data, size, flags);
    if (result >= 0) {
        after_ready(descriptor);
    }
    return result;
}

PYTHON_TSAN_SHIM ssize_t recvmsg(int descriptor, msghdr* message, int flags) {
    const ssize_t result = next_recvmsg(descriptor, message, flags);
    if (result >= 0) {
        after_ready(descriptor);
    }
    return result;
}

PYTHON_TSAN_SHIM ssize_t
recvfrom(int descriptor, void* data, std::size_t size, int flags, sockaddr* from, socklen_t* length) {
    const ssize_t result = next_recvfrom(descriptor, data, size, flags, from, length);
    if (result >= 0) {
        after_ready(descriptor);
    }
    return result;
}

PYTHON_TSAN_SHIM int recvmmsg(int descriptor, mmsghdr* messages, unsigned count, int flags, timespec* limit) {
    const int result = next_recvmmsg(descriptor, messages, count, flags, limit);
    if (result >= 0) {
        after_ready(descriptor);
    }
    return result;
}

namespace {

constexpr short kReadable = POLLIN | POLLHUP | POLLRDHUP | POLLPRI | POLLERR;

int after_poll(int result, const pollfd* polled, nfds_t count) {
    for (nfds_t index = 0; result > 0 && index < count; ++index) {
        if ((polled[index].revents & kReadable) != 0) {
            after_ready(polled[index].fd);
        }
    }
    return result;
}

} // namespace

PYTHON_TSAN_SHIM int poll(pollfd* polled, nfds_t count, int limit) {
    return after_poll(next_poll(polled, count, limit), polled, count);
}

PYTHON_TSAN_SHIM int ppoll(pollfd* polled, nfds_t count, const timespec* limit, const sigset_t* mask) {
    return after_poll(next_ppoll(polled, count, limit, mask), polled, count);
}

/// Not by FD_ISSET, which ends a program that uses larger sets than usual.
static bool is_in(const fd_set* set, int descriptor) {
    constexpr int kBits = 8 * sizeof(fd_mask);
    const auto* words = reinterpret_cast<const fd_mask*>(set);
    return set != nullptr && (static_cast<unsigned long>(words[descriptor / kBits]) >> descriptor % kBits & 1U) != 0;
}

static int after_select(int result, int count, const fd_set* in, const fd_set* exceptional) {
    for (int descriptor = 0; result > 0 && descriptor < count; ++descriptor) {
        if (is_in(in, descriptor) || is_in(exceptional, descriptor)) {
            after_ready(descriptor);
        }
    }
    return result;
}

PYTHON_TSAN_SHIM int select(int count, fd_set* in, fd_set* out, fd_set* exceptional, timeval* limit) {
    return after_select(next_select(count, in, out, exceptional, limit), count, in, exceptional);
}

PYTHON_TSAN_SHIM int
pselect(int count, fd_set* in, fd_set* out, fd_set* exceptional, const timespec* limit, const sigset_t* mask) {
    return after_select(next_pselect(count, in, out, exceptional, limit, mask), count, in, exceptional);
}

// An event of epoll has the program's data and not the descriptor.

namespace {

struct Watched {
    std::atomic<int> descriptor{0}; // and one, so that none is zero, and takes no room in the file
    std::atomic<int> epoll{0};
    std::atomic<std::uint64_t> data{0};
};

// One that is overwritten by another with the same place is not shimmed.
constexpr std::size_t kMostWatched = 4096;
Watched watched[kMostWatched];

Watched& place_of(int epoll, std::uint64_t data) {
    const std::uint64_t mixed = (data ^ static_cast<std::uint64_t>(epoll) << 48) * 0x9e3779b97f4a7c15U;
    return watched[mixed >> 52U];
}

int after_epoll(int epoll, int result, const epoll_event* events) {
    for (int index = 0; index < result; ++index) {
        const Watched& place = place_of(epoll, events[index].data.u64);
        const int descriptor = place.descriptor.load(std::memory_order_acquire) - 1;
        const bool is_it = place.epoll.load(std::memory_order_relaxed) == epoll &&
                           place.data.load(std::memory_order_relaxed) == events[index].data.u64;
        if (is_it && (events[index].events & ~static_cast<unsigned>(EPOLLOUT)) != 0) {
            after_ready(descriptor);
        }
    }
    return result;
}

Next<int (*)(int, int, int, epoll_event*)> next_epoll_ctl("epoll_ctl");
Next<int (*)(int, epoll_event*, int, int)> next_epoll_wait("epoll_wait");
Next<int (*)(int, epoll_event*, int, int, const sigset_t*)> next_epoll_pwait("epoll_pwait");
Next<int (*)(int, epoll_event*, int, const timespec*, const sigset_t*)> next_epoll_pwait2("epoll_pwait2");

} // namespace

PYTHON_TSAN_SHIM int epoll_ctl(int epoll, int operation, int descriptor, epoll_event* event) noexcept {
    if (operation != EPOLL_CTL_DEL && event != nullptr) {
        Watched& place = place_of(epoll, event->data.u64);
        place.descriptor.store(0, std::memory_order_release);
        place.epoll.store(epoll, std::memory_order_relaxed);
        place.data.store(event->data.u64, std::memory_order_relaxed);
        place.descriptor.store(descriptor + 1, std::memory_order_release);
    }
    return next_epoll_ctl(epoll, operation, descriptor, event);
}

PYTHON_TSAN_SHIM int epoll_wait(int epoll, epoll_event* events, int most, int limit) {
    return after_epoll(epoll, next_epoll_wait(epoll, events, most, limit), events);
}

PYTHON_TSAN_SHIM int epoll_pwait(int epoll, epoll_event* events, int most, int limit, const sigset_t* mask) {
    return after_epoll(epoll, next_epoll_pwait(epoll, events, most, limit, mask), events);
}

PYTHON_TSAN_SHIM int
epoll_pwait2(int epoll, epoll_event* events, int most, const timespec* limit, const sigset_t* mask) {
    return after_epoll(epoll, next_epoll_pwait2(epoll, events, most, limit, mask), events);
}

// Message queues: the kernel's number of the queue is the same in every descriptor of it.

namespace {

Tokens<256> queues;

} // namespace

void* python_tsan::shims::queue_token(int queue) {
    struct stat status{};
    if (!is_on(kGroup) || syscall(SYS_fstat, queue, &status) != 0) {
        return nullptr;
    }
    return queues.of(status.st_ino);
}

namespace {

void before_send(mqd_t queue) {
    release_if(queue_token(queue));
}

ssize_t after_receive(ssize_t result, mqd_t queue) {
    acquire_if(result >= 0 ? queue_token(queue) : nullptr);
    return result;
}

Next<int (*)(mqd_t, const char*, std::size_t, unsigned)> next_mq_send("mq_send");
Next<int (*)(mqd_t, const char*, std::size_t, unsigned, const timespec*)> next_timedsend("mq_timedsend");
Next<ssize_t (*)(mqd_t, char*, std::size_t, unsigned*)> next_mq_receive("mq_receive");
Next<ssize_t (*)(mqd_t, char*, std::size_t, unsigned*, const timespec*)> next_timedreceive("mq_timedreceive");

} // namespace

PYTHON_TSAN_SHIM int mq_send(mqd_t queue, const char* data, std::size_t size, unsigned priority) {
    before_send(queue);
    return next_mq_send(queue, data, size, priority);
}

PYTHON_TSAN_SHIM int
mq_timedsend(mqd_t queue, const char* data, std::size_t size, unsigned priority, const timespec* limit) {
    before_send(queue);
    return next_timedsend(queue, data, size, priority, limit);
}

PYTHON_TSAN_SHIM ssize_t mq_receive(mqd_t queue, char* data, std::size_t size, unsigned* priority) {
    return after_receive(next_mq_receive(queue, data, size, priority), queue);
}

PYTHON_TSAN_SHIM ssize_t
mq_timedreceive(mqd_t queue, char* data, std::size_t size, unsigned* priority, const timespec* limit) {
    return after_receive(next_timedreceive(queue, data, size, priority, limit), queue);
}

/// The runtimes call some of these to symbolize a report (Clang's starts a program with pipes). There, dlsym would free
/// the message of an earlier failure as memory of the runtime.
__attribute__((constructor(102))) static void begin() {
    next_pipe.get();
    next_pipe2.get();
    next_socketpair.get();
    next_eventfd.get();
    next_timerfd_create.get();
    next_timerfd_settime.get();
    next_signalfd.get();
    next_dup.get();
    next_dup2.get();
    next_dup3.get();
    next_close.get();
    next_shutdown.get();
    next_write.get();
    next_writev.get();
    next_eventfd_write.get();
    next_send.get();
    next_sendmsg.get();
    next_sendto.get();
    next_sendmmsg.get();
    next_splice.get();
    next_read.get();
    next_readv.get();
    next_recv.get();
    next_recvmsg.get();
    next_recvfrom.get();
    next_recvmmsg.get();
    next_eventfd_read.get();
    next_select.get();
    next_pselect.get();
    next_poll.get();
    next_ppoll.get();
    next_epoll_ctl.get();
    next_epoll_wait.get();
    next_epoll_pwait.get();
    next_epoll_pwait2.get();
    next_mq_send.get();
    next_timedsend.get();
    next_mq_receive.get();
    next_timedreceive.get();
}
