// The functions of <threads.h>, which no runtime knows. A thread that thrd_create makes is not known either, and the
// sanitizer dies in it.
#include "../common/c11_threads.hpp"
#include "shim.hpp"

namespace {

using namespace preload::c11;
using namespace python_tsan::shims;

} // namespace

#define DEFINE(result, name, parameters, arguments, call)                                                              \
    PYTHON_TSAN_SHIM result name parameters {                                                                          \
        static preload::c11::Next<decltype(&::name)> next(#name);                                                      \
        return next.is_of_libc() && is_on(Group::pthread) ? call : next.get() arguments;                               \
    }
PYTHON_TSAN_C11_THREADS(DEFINE)
