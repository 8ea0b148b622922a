// Intercepts the calls by which libpython and extensions release or acquire the GIL.
//
// Works if those calls go through the procedure linkage table. Otherwise it leaves a note and does nothing.

#include "attach.hpp"
#include "objects.hpp"
#include "python.hpp"
#include "recording.hpp"
#include "spool.hpp"
#include "thread.hpp"

#define TRACER_EXPORT __attribute__((visibility("default")))

namespace gil_tracer {

namespace {

/// Counts an unfinished call, even if the thread ends inside it, as it does during finalization.
class Inside {
public:
    Inside() { ++me.inside; }
    ~Inside() { --me.inside; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
};

/// The caller that matters to a reader: pybind11 or an extension, rather than PyGILState_* itself.
const void* site(const void* caller) {
    return me.outer == nullptr ? caller : me.outer;
}

class Outer {
public:
    explicit Outer(const void* caller) : before_(me.outer) { me.outer = caller; }
    ~Outer() { me.outer = before_; }
    Outer(const Outer&) = delete;
    Outer& operator=(const Outer&) = delete;

private:
    const void* before_;
};

GilCall call_of(GilCall call) {
    return me.outer == nullptr ? call : GilCall::gil_state;
}

template <typename Function>
Function real(Function, const char* name) {
    return reinterpret_cast<Function>(find_next(name));
}

} // namespace

} // namespace gil_tracer

using namespace gil_tracer;

// The next definition of the replaced function. It exists, because it was called.
#define REAL(function) static const auto next = real(&function, #function)

extern "C" {

TRACER_EXPORT _ts* PyEval_SaveThread() {
    REAL(PyEval_SaveThread);
    if (!tracing()) {
        return next();
    }
    const Inside inside;
    note_release(call_of(GilCall::save_restore), site(__builtin_return_address(0)), true);
    me.saving = true;
    _ts* result = next();
    me.saving = false;
    return result;
}

TRACER_EXPORT void PyEval_RestoreThread(_ts* state) {
    REAL(PyEval_RestoreThread);
    if (!tracing()) {
        return next(state);
    }
    const Inside inside;
    const auto requested = monotonic();
    next(state);
    note_acquired(call_of(GilCall::save_restore), requested);
}

TRACER_EXPORT void PyEval_ReleaseThread(_ts* state) {
    REAL(PyEval_ReleaseThread);
    if (!tracing()) {
        return next(state);
    }
    const Inside inside;
    note_release(GilCall::acquire_release, site(__builtin_return_address(0)), true);
    next(state);
}

TRACER_EXPORT void PyEval_AcquireThread(_ts* state) {
    REAL(PyEval_AcquireThread);
    if (!tracing()) {
        return next(state);
    }
    const Inside inside;
    const auto requested = monotonic();
    next(state);
    note_acquired(GilCall::acquire_release, requested);
}

TRACER_EXPORT int PyGILState_Ensure() {
    REAL(PyGILState_Ensure);
    if (!tracing()) {
        return next();
    }
    const Inside inside;
    const Outer outer(__builtin_return_address(0));
    return next();
}

TRACER_EXPORT void PyGILState_Release(int before) {
    REAL(PyGILState_Release);
    if (!tracing()) {
        return next(before);
    }
    const Inside inside;
    const Outer outer(__builtin_return_address(0));
    me.dropped = 0;
    next(before);
    const int unlocked = 1; // of PyGILState_STATE
    if (before == unlocked) {
        // Unless PyEval_SaveThread was called, the thread state was deleted, which released the GIL.
        note_release(GilCall::gil_state, me.outer, false, me.dropped);
    }
}

TRACER_EXPORT void PyThreadState_DeleteCurrent() {
    REAL(PyThreadState_DeleteCurrent);
    if (!tracing()) {
        return next();
    }
    const Inside inside;
    note_release(GilCall::deleted, site(__builtin_return_address(0)), true);
    next();
}

TRACER_EXPORT _ts* PyThreadState_Swap(_ts* state) {
    REAL(PyThreadState_Swap);
    constexpr std::uint32_t first_that_releases = 0x030C0000; // up to 3.11 it only changes the pointer
    if (!tracing() || traced.version < first_that_releases) {
        return next(state);
    }
    const Inside inside;
    if (me.state == State::holding) {
        note_release(GilCall::swap, site(__builtin_return_address(0)), true);
    }
    const auto requested = monotonic();
    _ts* result = next(state);
    if (state != nullptr) {
        note_acquired(GilCall::swap, requested);
    }
    return result;
}
}
