// Signals that a thread waits for: sigwait and its like order what was done before kill, raise and their like, and
// sigsuspend what was done before each signal that it lets in. Any other handler is not concerned: the runtime runs it
// in its thread. Each number has a token of its own.
#include "descriptors.hpp"
#include "shim.hpp"

#include <csignal>
#include <pthread.h>

namespace {

using namespace python_tsan::shims;

constexpr int kMostSignals = 65;
alignas(8) char tokens[kMostSignals][8];

bool is_token(int number) {
    return number > 0 && number < kMostSignals && is_on(Group::signals);
}

void before_signal(int number) {
    if (is_token(number)) {
        release(tokens[number]);
    }
}

int after_wait(int number) {
    after_signal(number);
    return number;
}

Next<int (*)(pid_t, int)> next_kill("kill");
Next<int (*)(int)> next_raise("raise");
Next<int (*)(pthread_t, int)> next_pthread_kill("pthread_kill");
Next<int (*)(pid_t, int, sigval)> next_sigqueue("sigqueue");
Next<int (*)(pthread_t, int, sigval)> next_pthread_sigqueue("pthread_sigqueue");
Next<int (*)(const sigset_t*)> next_sigsuspend("sigsuspend");
Next<int (*)(const sigset_t*, int*)> next_sigwait("sigwait");
Next<int (*)(const sigset_t*, siginfo_t*)> next_sigwaitinfo("sigwaitinfo");
Next<int (*)(const sigset_t*, siginfo_t*, const timespec*)> next_sigtimedwait("sigtimedwait");

} // namespace

namespace python_tsan::shims {

void after_signal(int number) {
    if (is_token(number)) {
        acquire(tokens[number]);
    }
}

} // namespace python_tsan::shims

PYTHON_TSAN_SHIM int kill(pid_t process, int number) noexcept {
    before_signal(number);
    return next_kill(process, number);
}

PYTHON_TSAN_SHIM int raise(int number) noexcept {
    before_signal(number);
    return next_raise(number);
}

PYTHON_TSAN_SHIM int pthread_kill(pthread_t thread, int number) noexcept {
    before_signal(number);
    return next_pthread_kill(thread, number);
}

PYTHON_TSAN_SHIM int sigqueue(pid_t process, int number, const sigval value) noexcept {
    before_signal(number);
    return next_sigqueue(process, number, value);
}

PYTHON_TSAN_SHIM int pthread_sigqueue(pthread_t thread, int number, const sigval value) noexcept {
    before_signal(number);
    return next_pthread_sigqueue(thread, number, value);
}

PYTHON_TSAN_SHIM int sigsuspend(const sigset_t* held_back) {
    const int result = next_sigsuspend(held_back);
    for (int number = 1; number < kMostSignals; ++number) {
        if (sigismember(held_back, number) == 0) {
            after_signal(number);
        }
    }
    return result;
}

PYTHON_TSAN_SHIM int sigwait(const sigset_t* signals, int* number) {
    const int result = next_sigwait(signals, number);
    if (result == 0) {
        after_signal(*number);
    }
    return result;
}

PYTHON_TSAN_SHIM int sigwaitinfo(const sigset_t* signals, siginfo_t* details) {
    return after_wait(next_sigwaitinfo(signals, details));
}

PYTHON_TSAN_SHIM int sigtimedwait(const sigset_t* signals, siginfo_t* details, const timespec* limit) {
    return after_wait(next_sigtimedwait(signals, details, limit));
}
