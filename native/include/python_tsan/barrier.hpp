#pragma once

/// A barrier that ThreadSanitizer does not see.
///
/// An ordinary barrier, mutex or condition variable creates a happens-before order between the threads that pass it, so
/// that TSan reports no race. The runtimes of LLVM and GCC export the barrier of LLVM's own tests
/// (compiler-rt/test/tsan/test.h), which orders threads in time but not in TSan's clocks.

#include <condition_variable>
#include <mutex>
#include <stdexcept>

#if defined(__SANITIZE_THREAD__)
#define PYTHON_TSAN_INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PYTHON_TSAN_INSTRUMENTED 1
#endif
#endif
#ifndef PYTHON_TSAN_INSTRUMENTED
#define PYTHON_TSAN_INSTRUMENTED 0
#endif

#if PYTHON_TSAN_INSTRUMENTED
extern "C" void __tsan_testonly_barrier_init(unsigned long long* barrier, unsigned count);
extern "C" void __tsan_testonly_barrier_wait(unsigned long long* barrier);
#endif

namespace python_tsan {

#if PYTHON_TSAN_INSTRUMENTED

/// Blocks each caller of wait() until `count` threads have called it, then can be used again.
/// wait() may be called from any thread; it never touches the GIL. `count` is 1 to 1022, the runtime's own limit.
class Barrier {
public:
    explicit Barrier(unsigned count) {
        if (count == 0 || count > max_count) {
            throw std::invalid_argument("Barrier: count must be 1 to 1022");
        }
        __tsan_testonly_barrier_init(&state_, count);
    }
    Barrier(const Barrier&) = delete;
    Barrier& operator=(const Barrier&) = delete;

    void wait() { __tsan_testonly_barrier_wait(&state_); }

    static constexpr unsigned max_count = 1022;

private:
    unsigned long long state_ = 0;
};

#else

/// The same contract in a program that is not instrumented.
class Barrier {
public:
    explicit Barrier(unsigned count) : count_(count) {
        if (count == 0 || count > max_count) {
            throw std::invalid_argument("Barrier: count must be 1 to 1022");
        }
    }
    Barrier(const Barrier&) = delete;
    Barrier& operator=(const Barrier&) = delete;

    void wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        const unsigned long long round = round_;
        if (++arrived_ == count_) {
            arrived_ = 0;
            ++round_;
            all_here_.notify_all();
            return;
        }
        all_here_.wait(lock, [&] { return round_ != round; });
    }

    static constexpr unsigned max_count = 1022;

private:
    std::mutex mutex_;
    std::condition_variable all_here_;
    const unsigned count_;
    unsigned arrived_ = 0;
    unsigned long long round_ = 0;
};

#endif

} // namespace python_tsan
