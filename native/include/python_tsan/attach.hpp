#pragma once

/// Native threads that use Python while the program may finalize it. Header only, C++17; needs only Python.h
/// (CPython 3.9 or later), and works with pybind11 and nanobind, whose guards may be used inside an Attachment.
///
/// A thread that calls PyGILState_Ensure during or after Py_FinalizeEx is ended, blocked forever, or crashes, depending
/// on the version (docs/late-threads.md). Here it is refused, and finalization waits for the threads that were not:
///
///     python_tsan::InterpreterView view; // with the GIL held; give each thread a copy
///     ...
///     const python_tsan::Attachment attached(view); // in the thread
///     if (!attached) {
///         return; // Python is gone or about to go
///     }
///
/// From 3.15 on this is PEP 788. Before, a function registered with Python's atexit module does what PEP 788 does: it
/// waits, with the GIL released, until no guard is left, and refuses new ones from then on.

#if !defined(PY_VERSION_HEX)
#include <Python.h>
#endif

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <unistd.h>
#include <utility>

static_assert(PY_VERSION_HEX >= 0x03090000, "python_tsan::Attachment needs CPython 3.9 or later");

#if PY_VERSION_HEX < 0x030F00B1
#define PYTHON_TSAN_HAS_PEP_788 0
#elif defined(Py_LIMITED_API)
#define PYTHON_TSAN_HAS_PEP_788 (Py_LIMITED_API + 0 >= 0x030F0000)
#else
#define PYTHON_TSAN_HAS_PEP_788 1
#endif

namespace python_tsan {

namespace attach_parts {

/// Clear Python's error and throw a C++ one in its place.
[[noreturn]] inline void fail(const char* what) {
    PyErr_Clear();
    throw std::runtime_error(what);
}

#if PYTHON_TSAN_HAS_PEP_788

struct CloseView {
    void operator()(PyInterpreterView* view) const { PyInterpreterView_Close(view); }
};
struct CloseGuard {
    void operator()(PyInterpreterGuard* guard) const { PyInterpreterGuard_Close(guard); }
};

using View = std::shared_ptr<PyInterpreterView>;
using Guard = std::unique_ptr<PyInterpreterGuard, CloseGuard>;
using Token = PyThreadStateToken*;

inline View make_view() {
    PyInterpreterView* const view = PyInterpreterView_FromCurrent();
    if (view == nullptr) {
        fail("python_tsan::InterpreterView: out of memory");
    }
    return View(view, CloseView());
}

inline Guard make_guard(const View& view) {
    return Guard(PyInterpreterGuard_FromView(view.get()));
}

inline Token attach(const Guard& guard) {
    return PyThreadState_Ensure(guard.get());
}

inline void detach(Token token) {
    PyThreadState_Release(token);
}

#else

/// Counts the guards of an interpreter and can be closed when none is left. Counting orders the threads only with the
/// one that closes, not with each other, so that it hides no race from ThreadSanitizer.
class Gate {
public:
    /// False once the gate is closed.
    bool enter() {
        std::uint64_t seen = state_.load(std::memory_order_relaxed);
        do {
            if ((seen & closed) != 0) {
                return false;
            }
        } while (!state_.compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed));
        return true;
    }

    void leave() {
        if (state_.fetch_sub(1, std::memory_order_release) == (waited_for | 1)) {
            const std::lock_guard<std::mutex> lock(mutex_);
            empty_.notify_all();
        }
    }

    /// Wait up to `limit` until no guard is left, then close. False if some are left. Call it without the GIL.
    bool close_within(std::chrono::milliseconds limit) {
        std::unique_lock<std::mutex> lock(mutex_);
        state_.fetch_or(waited_for, std::memory_order_relaxed);
        std::uint64_t none = waited_for;
        // A child of fork has the count, but not the threads.
        const auto shut = [&] {
            none = waited_for;
            return getpid() != process_ || state_.compare_exchange_strong(none, closed, std::memory_order_acquire);
        };
        return empty_.wait_until(lock, std::chrono::system_clock::now() + limit, shut);
    }

    /// Refuse new guards, whether or not some are left.
    void close_now() { state_.fetch_or(closed, std::memory_order_relaxed); }

    void add_owner() { owners_.fetch_add(1, std::memory_order_relaxed); }

    void drop_owner() {
        if (owners_.fetch_sub(1, std::memory_order_release) == 1) {
            static_cast<void>(owners_.load(std::memory_order_acquire));
            delete this;
        }
    }

private:
    ~Gate() = default; // its last owner deletes it

    static constexpr std::uint64_t closed = std::uint64_t{1} << 63;
    static constexpr std::uint64_t waited_for = std::uint64_t{1} << 62;

    std::atomic<std::uint64_t> state_{0};
    std::atomic<std::uint64_t> owners_{1};
    std::mutex mutex_;
    std::condition_variable empty_;
    const pid_t process_ = getpid();
};

/// Owns a Gate together with its copies. Those of std::shared_ptr order the thread that drops one with each that makes
/// one later, and with that would hide races between them.
class View {
public:
    View() : gate_(new Gate()) {}
    View(const View& other) : gate_(other.gate_) { gate_->add_owner(); }
    View(View&& other) : View(other) {} // none is empty
    View& operator=(View other) {
        std::swap(gate_, other.gate_);
        return *this;
    }
    ~View() { gate_->drop_owner(); }

    Gate* operator->() const { return gate_; }

private:
    Gate* gate_;
};

struct LeaveGate {
    View keep;
    void operator()(Gate* gate) const { gate->leave(); }
};

using Guard = std::unique_ptr<Gate, LeaveGate>;

/// What PyGILState_Ensure returned. Converts to true, as a token of PEP 788 does.
struct Token {
    PyGILState_STATE state = PyGILState_UNLOCKED;
    bool attached = false;
    explicit operator bool() const { return attached; }
};

inline constexpr const char* capsule_name = "python_tsan.gate";

/// Called by Python's atexit, with the GIL held and all of Python still there.
inline PyObject* close_gate(PyObject* capsule, PyObject*) {
    const View gate = *static_cast<View*>(PyCapsule_GetPointer(capsule, capsule_name));
    for (bool shut = false; !shut;) {
        Py_BEGIN_ALLOW_THREADS
        shut = gate->close_within(std::chrono::milliseconds(100));
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals() != 0) {
            gate->close_now(); // interrupted, by Ctrl-C: the threads that are left are no longer waited for
            return nullptr;
        }
    }
    Py_RETURN_NONE;
}

inline void drop_view(PyObject* capsule) {
    delete static_cast<View*>(PyCapsule_GetPointer(capsule, capsule_name));
}

inline View make_view() {
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
        throw std::logic_error("python_tsan::InterpreterView: before CPython 3.15 only for the main interpreter");
    }
    static PyMethodDef method{"close_gate", close_gate, METH_NOARGS, nullptr};
    const View view;
    auto owned = std::make_unique<View>(view);
    PyObject* const capsule = PyCapsule_New(owned.get(), capsule_name, drop_view);
    if (capsule == nullptr) {
        fail("python_tsan::InterpreterView: out of memory");
    }
    static_cast<void>(owned.release());
    PyObject* const function = PyCFunction_New(&method, capsule);
    Py_DECREF(capsule);
    PyObject* const module = function == nullptr ? nullptr : PyImport_ImportModule("atexit");
    PyObject* const done = module == nullptr ? nullptr : PyObject_CallMethod(module, "register", "O", function);
    Py_XDECREF(module);
    Py_XDECREF(function);
    if (done == nullptr) {
        fail("python_tsan::InterpreterView: atexit.register failed");
    }
    Py_DECREF(done);
    return view;
}

inline Guard make_guard(const View& view) {
    return Guard(view->enter() ? view.operator->() : nullptr, LeaveGate{view});
}

inline Token attach(const Guard&) {
    return {PyGILState_Ensure(), true};
}

inline void detach(Token token) {
    PyGILState_Release(token.state);
}

#endif

} // namespace attach_parts

/// Names the interpreter that is attached where it is made. Copies are cheap, may be used by any thread without the
/// GIL, and may outlive the interpreter. It keeps nothing alive.
class InterpreterView {
public:
    /// Needs the GIL (in a free-threaded build: an attached thread state), and an interpreter whose finalization has
    /// not begun. Throws std::runtime_error, and before 3.15 std::logic_error in a sub-interpreter.
    InterpreterView() : view_(attach_parts::make_view()) {}

private:
    friend class InterpreterGuard;
    attach_parts::View view_;
};

/// Keeps finalization waiting for as long as it lives, unless it is empty: then finalization was too far already. Needs
/// no GIL. Do not leave one behind: finalization would wait forever.
class InterpreterGuard {
public:
    explicit InterpreterGuard(const InterpreterView& view) : guard_(attach_parts::make_guard(view.view_)) {}

    explicit operator bool() const { return guard_ != nullptr; }

private:
    friend class Attachment;
    attach_parts::Guard guard_;
};

/// Attaches the calling thread to the interpreter for as long as it lives: it holds the GIL, if there is one. May be
/// nested, and used by a thread that is attached already.
class Attachment {
public:
    /// Not attached if the interpreter can no longer be used.
    explicit Attachment(const InterpreterView& view)
        : own_(std::make_unique<const InterpreterGuard>(view)), token_(token_of(*own_)) {}
    /// Attached if the guard is not empty. The guard must outlive it.
    explicit Attachment(const InterpreterGuard& guard) : token_(token_of(guard)) {}
    ~Attachment() {
        if (*this) {
            attach_parts::detach(token_);
        }
    }
    Attachment(const Attachment&) = delete;
    Attachment& operator=(const Attachment&) = delete;

    explicit operator bool() const { return static_cast<bool>(token_); }

private:
    static attach_parts::Token token_of(const InterpreterGuard& guard) {
        return guard ? attach_parts::attach(guard.guard_) : attach_parts::Token{};
    }

    // Destroyed after the thread has detached. In a std::optional, gcc 12 takes it for uninitialized.
    std::unique_ptr<const InterpreterGuard> own_;
    attach_parts::Token token_;
};

} // namespace python_tsan
