// Synchronizes threads with a barrier that ThreadSanitizer does not see, so that the order of two accesses is fixed but
// no happens-before edge hides their race. Exported by LLVM's and GCC's runtimes.
#pragma once

extern "C" void __tsan_testonly_barrier_init(void* barrier, unsigned count);
extern "C" void __tsan_testonly_barrier_wait(void* barrier);

// Lets two threads take turns: second() returns only after the other thread has called first().
class Turn {
public:
    Turn() { __tsan_testonly_barrier_init(&state_, 2); }
    void first() { __tsan_testonly_barrier_wait(&state_); }
    void second() { __tsan_testonly_barrier_wait(&state_); }

private:
    unsigned long long state_ = 0;
};
