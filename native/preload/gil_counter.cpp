// A library to preload: counts how often the calling thread releases the GIL.
//
// Works if libpython calls PyEval_SaveThread through its procedure linkage table, as every --enable-shared build does
// without -fno-semantic-interposition. Forced switches (the eval breaker) are not counted. Neither instrumented nor
// linked to libpython, so that it loads no sanitizer runtime and no second Python.

#include <dlfcn.h>

extern "C" {

struct _ts; // CPython's name for PyThreadState

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
