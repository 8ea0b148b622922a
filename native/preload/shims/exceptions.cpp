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

CallersNext<void (*)(Pointer*)> next_release("_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv");
CallersNext<void (*)()> next_end_catch("__cxa_end_catch");
CallersNext<Pointer* (*)(Pointer*)>
    next_current("_ZSt17current_exceptionv"); // the result's place is the first argument

void gives_back(const void* exception) {
    release(exception);
    acquire(exception);
}

} // namespace

PYTHON_TSAN_SHIM void _ZNSt15__exception_ptr13exception_ptr10_M_releaseEv(Pointer* pointer) {
    if (pointer->exception != nullptr && is_on(kGroup)) {
        gives_back(pointer->exception);
    }
    next_release.of(PYTHON_TSAN_CALLER)(pointer);
}

PYTHON_TSAN_SHIM void __cxa_end_catch() {
    const void* caller = PYTHON_TSAN_CALLER;
    const auto end_catch = next_end_catch.of(caller);
    const auto current_exception = next_current.of(caller);
    const auto release_exception = next_release.of(caller);
    // Another C++ library may have a part of these names.
    const void* library = object_of(reinterpret_cast<void*>(end_catch));
    const bool together = object_of(reinterpret_cast<void*>(current_exception)) == library &&
                          object_of(reinterpret_cast<void*>(release_exception)) == library;
    if (is_enabled() && together) {
        Pointer current{nullptr};
        current_exception(&current); // null for an exception of another language
        if (current.exception != nullptr) {
            gives_back(current.exception);
            release_exception(&current);
        }
    }
    end_catch();
}

#endif
