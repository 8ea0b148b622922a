// A library to be preloaded: counts how often the calling thread lets go of the GIL.
//
// Works where libpython calls PyEval_SaveThread through its procedure linkage table, as every --enable-shared build
// does that was not made with -fno-semantic-interposition. Forced switches (the eval breaker) do not pass here.
// Neither instrumented nor linked to libpython: it must not bring a sanitizer runtime or a second Python along.

#include <dlfcn.h>

extern "C" {

struct _ts; // CPython's own name for PyThreadState

static thread_local unsigned long releases = 0;

/// Number of times that the calling thread has released the GIL so far. The harness finds it with dlsym.
unsigned long python_tsan_gil_releases(void) {
    return releases;
}

_ts* PyEval_SaveThread(void) {
    using Function = _ts* (*)(void);
    static const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "PyEval_SaveThread"));
    ++releases;
    return next();
}
}
