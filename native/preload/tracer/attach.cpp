#include "attach.hpp"

#include "gil_mutex.hpp"
#include "objects.hpp"
#include "python.hpp"
#include "recording.hpp"
#include "spool.hpp"
#include "stacks.hpp"

#include <cstdlib>
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

namespace gil_tracer {

namespace {

std::atomic<bool> ready{false};
std::atomic_flag attaching = ATOMIC_FLAG_INIT;

const char* const seen_by = "PyEval_SaveThread";

/// Whether the program itself contains a Python: its definitions precede those of any library, including this one.
bool in_program() {
    const void* used = dlsym(RTLD_DEFAULT, seen_by);
    Dl_info theirs, ours;
    return used != nullptr && dladdr(used, &theirs) != 0 && dladdr(&ready, &ours) != 0 &&
           theirs.dli_fbase != ours.dli_fbase;
}

void forked() {
    forget_recording();
    spool_forget();
    forget_stacks();
}

/// Examine the loaded Python; false if it cannot be traced.
bool attach_to_python() {
    const void* save = find_next(seen_by);
    if (in_program() || !calls_can_be_seen(save, seen_by)) {
        spool_note("blind");
        const char* starter = std::getenv("PYTHON_TSAN_GIL_STARTER");
        if (starter != nullptr && std::atoi(starter) == getppid()) {
            _exit(EXIT_FAILURE); // before main: the user gets the reason why there is no trace
        }
        return false;
    }
    if (!traced.load()) {
        spool_note("unknown");
        return false;
    }
    spool_note("traced");
    pthread_atfork(nullptr, nullptr, forked);
    start_recording(watch_gil_mutex(save));
    return true;
}

[[gnu::constructor]] void start() {
    if (spool_requested()) {
        spool_note("loaded");
        tracing();
    }
}

} // namespace

bool tracing() {
    if (ready.load(std::memory_order_acquire)) {
        return true;
    }
    static const bool requested = spool_requested();
    if (requested && (in_program() || find_next(seen_by) != nullptr) && !attaching.test_and_set()) {
        ready.store(attach_to_python(), std::memory_order_release);
    }
    return ready.load(std::memory_order_acquire);
}

} // namespace gil_tracer
