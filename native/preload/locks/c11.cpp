// The functions of <threads.h>: what they do is recorded by the hooks of the POSIX functions that they become.
#include "../common/c11_threads.hpp"

using namespace preload::c11;

#define DEFINE(result, name, parameters, arguments, call)                                                              \
    static Defined<decltype(&::name)> next_##name(#name);                                                              \
    [[gnu::constructor]] static void find_##name() {                                                                   \
        next_##name.is_of_libc();                                                                                      \
    }                                                                                                                  \
    extern "C" __attribute__((visibility("default"))) result name parameters {                                         \
        return next_##name.is_of_libc() ? call : next_##name.get() arguments;                                          \
    }
PYTHON_TSAN_C11_THREADS(DEFINE)
