// The functions of <threads.h>, which no runtime knows. A thread that thrd_create makes is not known either, and the
// sanitizer dies in it.
#include "../common/c11_threads.hpp"
#include "shim.hpp"

namespace {

using namespace preload::c11;
using namespace python_tsan::shims;

} // namespace

#define DEFINE(result, name, parameters, arguments, call)                                                              \
    static Defined<decltype(&::name)> next_##name(#name);                                                              \
    [[gnu::constructor]] static void find_##name() {                                                                   \
        next_##name.is_of_libc();                                                                                      \
    }                                                                                                                  \
    PYTHON_TSAN_SHIM result name parameters {                                                                          \
        return next_##name.is_of_libc() && is_on(Group::pthread) ? call : next_##name.get() arguments;                 \
    }
PYTHON_TSAN_C11_THREADS(DEFINE)
