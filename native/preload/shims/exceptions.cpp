// The count of an exception that threads share by std::exception_ptr, as a promise and its future do. It is inside
// libstdc++, where the sanitizer does not see it; who frees the exception sees what the others did with it before.
//
// Each that gives its share back releases first and acquires then. One that acquires, and is overtaken by another
// before it counts down, misses that other: a window of a few instructions.
#include "shim.hpp"

#if defined(__x86_64__)

namespace {

using namespace python_tsan::shims;

constexpr Group kGroup = Group::exceptions;

/// The layout of std::exception_ptr: the exception.
struct Pointer {
    void* exception;
};

Next<void (*)(Pointer*)> next_release("_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv");
Next<void (*)()> next_end_catch("__cxa_end_catch");
Next<Pointer* (*)(Pointer*)> next_current("_ZSt17current_exceptionv"); // the result's place is the first argument

void gives_back(const void* exception) {
    release(exception);
    acquire(exception);
}

} // namespace

PYTHON_TSAN_SHIM void _ZNSt15__exception_ptr13exception_ptr10_M_releaseEv(Pointer* pointer) {
    if (pointer->exception != nullptr && is_on(kGroup)) {
        gives_back(pointer->exception);
    }
    next_release(pointer);
}

PYTHON_TSAN_SHIM void __cxa_end_catch() {
    if (is_enabled() && next_current.get() != nullptr && next_release.get() != nullptr) {
        Pointer current{nullptr};
        next_current(&current); // null for an exception of another language
        if (current.exception != nullptr) {
            gives_back(current.exception);
            next_release(&current);
        }
    }
    next_end_catch();
}

#endif
