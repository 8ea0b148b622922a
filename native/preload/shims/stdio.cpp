// The lock of a FILE, which a program may take for its own data, too. The C library takes it in each of its functions
// without a call that could be seen; what that orders stays unknown.
#include "shim.hpp"

#include <cstdio>

namespace {

using namespace python_tsan::shims;

constexpr unsigned kFlags = kStatic | kReentrant;

Next<void (*)(FILE*)> next_flockfile("flockfile");
Next<int (*)(FILE*)> next_ftrylockfile("ftrylockfile");
Next<void (*)(FILE*)> next_funlockfile("funlockfile");

} // namespace

PYTHON_TSAN_SHIM void flockfile(FILE* file) noexcept {
    next_flockfile(file);
    if (is_on(Group::pthread)) {
        locked(file, kFlags);
    }
}

PYTHON_TSAN_SHIM int ftrylockfile(FILE* file) noexcept {
    if (!is_on(Group::pthread)) {
        return next_ftrylockfile(file);
    }
    return try_lock(file, kFlags, [=] { return next_ftrylockfile(file); }, [](int result) { return result == 0; });
}

PYTHON_TSAN_SHIM void funlockfile(FILE* file) noexcept {
    if (is_on(Group::pthread)) {
        unlocked(file, kFlags);
    }
    next_funlockfile(file);
}
