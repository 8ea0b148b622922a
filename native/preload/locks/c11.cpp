// The functions of <threads.h>: what they do is recorded by the hooks of the POSIX functions that they become.
#include "../common/c11_threads.hpp"

using namespace preload::c11;

#define DEFINE(result, name, parameters, arguments, call)                                                              \
    extern "C" __attribute__((visibility("default"))) result name parameters {                                         \
        static preload::c11::Next<decltype(&::name)> next(#name);                                                      \
        return next.is_of_libc() ? call : next.get() arguments;                                                        \
    }
PYTHON_TSAN_C11_THREADS(DEFINE)
