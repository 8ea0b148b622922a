// Mistakes with Python's C API, and what is right instead: small embedders.
//
// `cases NAME wrong` and `cases NAME right` run one; without a name each is printed with what is to be found. A wrong
// one may crash, which is what happens without a checker. Only the stable ABI is used, so that one set of headers
// serves each version. Threads take turns by an atomic counter, which no recorder sees.

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <functional>
#include <future>
#include <memory>
#include <pthread.h>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

extern "C" {
// Not of the stable ABI, and the same in each version.
int PyRun_SimpleStringFlags(const char*, void*);
void PyThreadState_DeleteCurrent();
void* PyMem_RawMalloc(size_t);
void PyMem_RawFree(void*);
struct InterpreterConfig {
    int use_main_obmalloc, allow_fork, allow_exec, allow_threads, allow_daemon_threads, check_multi_interp_extensions;
    int gil;
};
struct Status {
    int type;
    const char *function, *message;
    int exit_code;
};
__attribute__((weak)) Status Py_NewInterpreterFromConfig(PyThreadState**, const InterpreterConfig*);
}

namespace {

PyObject* list = nullptr;
PyObject* kept = nullptr;
PyInterpreterState* home = nullptr;

/// Python from here to the end of the block. Without signal handlers, so that a crash ends the process at once.
struct Python {
    Python() {
        Py_InitializeEx(0);
        list = PyList_New(0);
        PyList_Append(list, list);
        home = PyInterpreterState_Get();
    }
    ~Python() { Py_FinalizeEx(); }
};

struct Gil {
    PyGILState_STATE state = PyGILState_Ensure();
    ~Gil() { PyGILState_Release(state); }
};

struct NoGil {
    PyThreadState* state = PyEval_SaveThread();
    ~NoGil() { PyEval_RestoreThread(state); }
};

std::atomic<int> turn{0};

void at(int number) {
    while (turn.load() != number) {
        sched_yield();
    }
}

/// Runs it in a thread to its end, with the GIL released.
void in_thread(const std::function<void()>& work) {
    const NoGil released;
    std::thread(work).join();
}

void python(const char* code) {
    if (PyRun_SimpleStringFlags(code, nullptr) != 0) {
        std::fputs("Python failed\n", stderr);
        std::_Exit(3);
    }
}

/// Ends the process as a program does that has no more to do, and leaves things behind.
[[noreturn]] void leave() {
    std::fflush(nullptr);
    _exit(0);
}

// --- one call, without the GIL and with it ------------------------------------------------------------------------

template <void (*Call)()>
void released() {
    const Python python;
    const NoGil without;
    Call();
}

template <void (*Call)()>
void foreign() {
    const Python python;
    in_thread(Call);
}

template <void (*Call)()>
void held() {
    const Python python;
    Call();
    in_thread([] {
        const Gil gil;
        Call();
    });
}

void measure() {
    if (PyList_Size(list) > 1000) {
        std::abort();
    }
}
void append() {
    PyList_Append(list, Py_None);
}
void build() {
    Py_DecRef(Py_BuildValue("(is)", 3, "three"));
}
void parse() {
    PyObject* words = PyTuple_New(0);
    if (PyArg_ParseTuple(words, "") == 0) {
        PyErr_Clear();
    }
    Py_DecRef(words);
}
void read_text() {
    Py_ssize_t size = 0;
    PyUnicode_AsUTF8AndSize(kept, &size);
}
void format() {
    Py_DecRef(PyUnicode_FromFormat("%d files", 3));
}
void attribute() {
    Py_DecRef(PyObject_GetAttrString(list, "sort"));
}
void import() {
    Py_DecRef(PyImport_ImportModule("sys"));
}
void run() {
    PyRun_SimpleStringFlags("x = 1", nullptr);
}
void stack_size() {
    if (PyThread_get_stacksize() == 1) { // of the interpreter: unlike most functions of this name, it reads its state
        std::abort();
    }
}
void occurred() {
    if (PyErr_Occurred() != nullptr) {
        std::abort();
    }
}
void signals() {
    PyErr_CheckSignals();
}
void allocate() {
    PyMem_Free(PyMem_Malloc(32));
}
void object_memory() {
    PyObject_Free(PyObject_Malloc(32));
}
void tuple() {
    Py_DecRef(PyTuple_New(2));
}
void number() {
    Py_DecRef(PyLong_FromLong(100000));
}
void real() {
    Py_DecRef(PyFloat_FromDouble(0.5));
}
void dictionary() {
    PyObject* made = PyDict_New();
    PyDict_SetItemString(made, "name", list);
    Py_DecRef(made);
}
void iterate() {
    PyObject* each = PyObject_GetIter(list);
    Py_DecRef(each);
}
void write_out() {
    PySys_WriteStdout("%s", "");
}
void reference() {
    Py_DecRef(PyWeakref_NewRef(reinterpret_cast<PyObject*>(&PyType_Type), nullptr));
}
void capsule() {
    PyObject* made = PyCapsule_New(&turn, "counter", nullptr);
    PyCapsule_GetPointer(made, "counter");
    Py_DecRef(made);
}
void set_error() {
    PyErr_SetString(PyExc_ValueError, "no such file");
    PyErr_Clear();
}
void pending() {
    PyErr_WarnEx(nullptr, "slow", 1);
}
void pending_calls() {
    Py_MakePendingCalls();
}
void collect() {
    PyGC_Disable();
    PyGC_Enable();
}

void buffer_released_without() {
    const Python python;
    PyObject* bytes = PyBytes_FromString("data");
    Py_buffer view;
    PyObject_GetBuffer(bytes, &view, PyBUF_SIMPLE);
    const NoGil without;
    PyBuffer_Release(&view);
}
void buffer_released_with() {
    const Python python;
    PyObject* bytes = PyBytes_FromString("data");
    Py_buffer view;
    PyObject_GetBuffer(bytes, &view, PyBUF_SIMPLE);
    {
        const NoGil without;
    }
    PyBuffer_Release(&view);
}

// --- threads that others start ------------------------------------------------------------------------------------

void async_without() {
    const Python python;
    auto size = std::async(std::launch::async, [] { return PyList_Size(list); });
    const NoGil without;
    size.wait();
}
void async_with() {
    const Python python;
    auto size = std::async(std::launch::async, [] {
        const Gil gil;
        return PyList_Size(list);
    });
    const NoGil without;
    size.wait();
}

template <bool Right>
void on_timer(sigval) {
    if (Right) {
        const Gil gil;
        measure();
    } else {
        measure();
    }
    turn = 1;
}
template <bool Right>
void timer() {
    const Python python;
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = on_timer<Right>;
    timer_t made;
    timer_create(CLOCK_MONOTONIC, &event, &made);
    itimerspec soon{};
    soon.it_value.tv_nsec = 1;
    timer_settime(made, 0, &soon, nullptr);
    const NoGil without;
    at(1);
}

/// The deleter runs where the last owner is.
template <bool Right>
void last_owner() {
    const Python python;
    std::shared_ptr<PyObject> owner(PyList_New(1), Py_DecRef);
    std::thread thread([mine = std::move(owner)]() mutable {
        if (Right) {
            const Gil gil;
            mine.reset();
        }
        mine.reset();
    });
    const NoGil without;
    thread.join();
}

void handler_without_gil() {
    const Python python;
    std::signal(SIGUSR1, [](int) { set_error(); });
    const NoGil without;
    std::raise(SIGUSR1);
}
void handler_asks_python() {
    const Python python;
    std::signal(SIGUSR1, [](int) { Py_AddPendingCall([](void*) { return 0; }, nullptr); });
    const NoGil without;
    std::raise(SIGUSR1);
}

void catch_without() {
    const Python python;
    in_thread([] {
        try {
            const Gil gil;
            measure();
            throw std::runtime_error("no such file");
        } catch (const std::exception& error) {
            PyErr_SetString(PyExc_RuntimeError, error.what()); // gil is gone
        }
    });
}
void catch_with() {
    const Python python;
    in_thread([] {
        const Gil gil;
        try {
            throw std::runtime_error("no such file");
        } catch (const std::exception& error) {
            PyErr_SetString(PyExc_RuntimeError, error.what());
            PyErr_Clear();
        }
    });
}

/// An object of a thread that refers to Python; its destructor runs when the thread ends.
struct Cached {
    PyObject* object = nullptr;
    bool asks = false;
    ~Cached() {
        if (object == nullptr || Py_IsInitialized() == 0) {
            return;
        }
        if (asks) {
            const Gil gil;
            Py_DecRef(object);
        } else {
            Py_DecRef(object);
        }
    }
};
thread_local Cached cached;

template <bool Right>
void thread_local_object() {
    const Python python;
    in_thread([] {
        const Gil gil;
        cached.object = PyList_New(1);
        cached.asks = Right;
    });
}

pthread_key_t key;
template <bool Right>
void thread_specific_object() {
    const Python python;
    pthread_key_create(&key, [](void* object) {
        if (Right) {
            const Gil gil;
            Py_DecRef(static_cast<PyObject*>(object));
        } else {
            Py_DecRef(static_cast<PyObject*>(object));
        }
    });
    in_thread([] {
        const Gil gil;
        pthread_setspecific(key, PyList_New(1));
    });
}

// --- thread states ------------------------------------------------------------------------------------------------

void state_not_attached() {
    const Python python;
    in_thread([] {
        PyThreadState_New(home);
        PyList_Size(list);
        leave();
    });
}
void state_attached() {
    const Python python;
    in_thread([] {
        PyEval_RestoreThread(PyThreadState_New(home));
        PyList_Size(list);
        PyThreadState_Clear(PyThreadState_Get());
        PyEval_SaveThread();
        leave();
    });
}

void swapped_out() {
    const Python python;
    PyThreadState* mine = PyThreadState_Swap(nullptr);
    measure();
    PyThreadState_Swap(mine);
}
void swapped_back() {
    const Python python;
    PyThreadState* mine = PyThreadState_Swap(nullptr);
    PyThreadState_Swap(mine);
    measure();
}

void thread_released() {
    const Python python;
    PyThreadState* mine = PyThreadState_Get();
    PyEval_ReleaseThread(mine);
    measure();
    PyEval_AcquireThread(mine);
}
void thread_acquired() {
    const Python python;
    PyThreadState* mine = PyThreadState_Get();
    PyEval_ReleaseThread(mine);
    PyEval_AcquireThread(mine);
    measure();
}

void saved_twice() {
    const Python python;
    PyThreadState* mine = PyEval_SaveThread();
    PyEval_SaveThread();
    PyEval_RestoreThread(mine);
}
void saved_once() {
    const Python python;
    PyEval_RestoreThread(PyEval_SaveThread());
}

void restored_twice() {
    const Python python;
    PyThreadState* mine = PyEval_SaveThread();
    PyEval_RestoreThread(mine);
    alarm(2); // it waits for itself on some versions
    PyEval_RestoreThread(mine);
}
void restored_once() {
    const Python python;
    PyThreadState* mine = PyEval_SaveThread();
    PyEval_RestoreThread(mine);
    measure();
}

void released_twice() {
    const Python python;
    in_thread([] {
        const auto state = PyGILState_Ensure();
        PyGILState_Release(state);
        PyGILState_Release(state);
    });
}
void ensured_twice() {
    const Python python;
    in_thread([] {
        const auto outer = PyGILState_Ensure();
        const auto inner = PyGILState_Ensure();
        PyGILState_Release(inner);
        PyGILState_Release(outer);
    });
}

/// The thread of Python's own has a state that this release deletes.
void release_without_ensure() {
    const Python python;
    PyGILState_Release(PyGILState_UNLOCKED);
    measure();
}
void release_after_ensure() {
    const Python python;
    PyGILState_Release(PyGILState_Ensure());
    measure();
}

void released_elsewhere() {
    const Python python;
    const NoGil without;
    PyGILState_STATE state{};
    std::thread first([&] {
        state = PyGILState_Ensure();
        PyEval_SaveThread();
        turn = 1;
        at(2);
    });
    std::thread second([&] {
        at(1);
        PyGILState_Release(state);
    });
    second.join();
    turn = 2;
    first.join();
    leave();
}
void released_where_ensured() {
    const Python python;
    const NoGil without;
    std::thread([] { PyGILState_Release(PyGILState_Ensure()); }).join();
    std::thread([] { PyGILState_Release(PyGILState_Ensure()); }).join();
}

/// Two threads cannot share one state: each has a stack of its own.
void cleared_without() {
    const Python python;
    PyThreadState* made = PyThreadState_New(home);
    const NoGil without;
    PyThreadState_Clear(made);
    leave();
}
void cleared_with() {
    const Python python;
    PyThreadState* made = PyThreadState_New(home);
    PyThreadState_Clear(made);
    PyThreadState_Delete(made);
}

// --- threads that end ---------------------------------------------------------------------------------------------

void early_return() {
    const Python python;
    PyEval_SaveThread();
    std::thread([] { PyGILState_Ensure(); }).join();
    leave();
}
void guarded_return() {
    const Python python;
    in_thread([] { const Gil gil; });
}

void ended_by_exit() {
    const Python python;
    PyEval_SaveThread();
    std::thread thread([] {
        PyGILState_Ensure();
        pthread_exit(nullptr);
    });
    thread.join();
    leave();
}
void exit_after_release() {
    const Python python;
    in_thread([] {
        PyGILState_Release(PyGILState_Ensure());
        pthread_exit(nullptr);
    });
}

void ended_with_own_state() {
    const Python python;
    PyEval_SaveThread();
    std::thread([] { PyEval_RestoreThread(PyThreadState_New(home)); }).join();
    leave();
}
void deleted_own_state() {
    const Python python;
    in_thread([] {
        PyThreadState* mine = PyThreadState_New(home);
        PyEval_RestoreThread(mine);
        PyThreadState_Clear(mine);
        PyThreadState_DeleteCurrent();
    });
}

void one_release_too_few() {
    const Python python;
    in_thread([] {
        PyGILState_Ensure();
        PyGILState_Release(PyGILState_Ensure());
        PyEval_SaveThread();
    });
}

void state_never_deleted() {
    const Python python;
    in_thread([] {
        PyThreadState* mine = PyThreadState_New(home);
        PyEval_RestoreThread(mine);
        measure();
        PyEval_SaveThread();
    });
}

void state_cleared_only() {
    const Python python;
    in_thread([] {
        PyThreadState* mine = PyThreadState_New(home);
        PyEval_RestoreThread(mine);
        PyThreadState_Clear(mine);
        PyEval_SaveThread();
    });
}

// --- interpreters -------------------------------------------------------------------------------------------------

void interpreter_left() {
    const Python python;
    PyThreadState* mine = PyThreadState_Get();
    Py_NewInterpreter();
    PyThreadState_Swap(mine);
}
void interpreter_ended() {
    const Python python;
    PyThreadState* mine = PyThreadState_Get();
    Py_EndInterpreter(Py_NewInterpreter());
    PyThreadState_Swap(mine);
}

void after_its_end() {
    const Python python;
    PyThreadState* mine = PyThreadState_Get();
    Py_EndInterpreter(Py_NewInterpreter());
    measure(); // nothing is attached
    PyThreadState_Swap(mine);
}
void swapped_after_its_end() {
    const Python python;
    PyThreadState* mine = PyThreadState_Get();
    Py_EndInterpreter(Py_NewInterpreter());
    PyThreadState_Swap(mine);
    measure();
}

/// Runs in a sub-interpreter that has a GIL and a memory of its own; does nothing before 3.12, which lacks them.
void with_own_gil(const std::function<void()>& work) {
    if (Py_NewInterpreterFromConfig == nullptr) {
        return;
    }
    PyThreadState* mine = PyThreadState_Get();
    PyThreadState* other = nullptr;
    const InterpreterConfig config = {0, 0, 0, 1, 0, 1, 2};
    Py_NewInterpreterFromConfig(&other, &config);
    work();
    Py_EndInterpreter(other);
    PyThreadState_Swap(mine);
}

void object_of_another() {
    const Python python;
    std::vector<PyObject*> many;
    for (int i = 0; i < 20000; ++i) { // beyond the arenas that Python started with
        many.push_back(PyList_New(1));
    }
    with_own_gil([&] { PyList_Size(many.back()); });
}
void object_of_its_own() {
    const Python python;
    with_own_gil([] {
        PyObject* made = PyList_New(1);
        PyList_Size(made);
        Py_DecRef(made);
    });
    measure();
}

void object_from_another() {
    const Python python;
    PyObject* taken = nullptr;
    with_own_gil([&] {
        taken = PyList_New(1);
        PyThreadState* other = PyEval_SaveThread();
        PyEval_RestoreThread(PyThreadState_New(home));
        PyList_Size(taken);
        PyThreadState_Clear(PyThreadState_Get());
        PyThreadState_DeleteCurrent();
        PyEval_RestoreThread(other);
        Py_DecRef(taken);
    });
}
/// An object of the main interpreter is passed to a function of another one, not as its first argument.
template <void (*Pass)(PyObject*)>
void passed_on() {
    const Python python;
    std::vector<PyObject*> many;
    for (int i = 0; i < 20000; ++i) { // beyond the arenas that Python started with
        many.push_back(PyList_New(1));
    }
    with_own_gil([&] { Pass(many.back()); });
}
void append_it(PyObject* object) {
    PyObject* made = PyList_New(0);
    PyList_Append(made, object);
    Py_DecRef(made);
}
void name_it(PyObject* object) {
    PyObject* made = PyDict_New();
    PyDict_SetItemString(made, "name", object);
    Py_DecRef(made);
}
void pack_it(PyObject* object) {
    PyObject* made = PyLong_FromLong(1000);
    Py_DecRef(PyTuple_Pack(2, made, object));
    Py_DecRef(made);
}
void call_with_it(PyObject* object) {
    PyObject* made = PyLong_FromLong(1000);
    Py_DecRef(PyObject_CallFunctionObjArgs(reinterpret_cast<PyObject*>(&PyList_Type), object, nullptr));
    Py_DecRef(made);
}
/// Its argument is still where an argument of these functions would be.
__attribute__((noinline)) void leave_it(PyObject*) {
    Py_DecRef(PyDict_New());
    PyThreadState_Get();
}

void text_from_another() {
    const Python python;
    with_own_gil([&] {
        PyObject* made = PyUnicode_FromString("a text of its own");
        Py_ssize_t size = 0;
        const std::string copy = PyUnicode_AsUTF8AndSize(made, &size);
        PyThreadState* other = PyEval_SaveThread();
        PyEval_RestoreThread(PyThreadState_New(home));
        Py_DecRef(PyUnicode_FromString(copy.c_str()));
        PyThreadState_Clear(PyThreadState_Get());
        PyThreadState_DeleteCurrent();
        PyEval_RestoreThread(other);
        Py_DecRef(made);
    });
}

// --- before and after ---------------------------------------------------------------------------------------------

void text_before() {
    PyUnicode_FromString("too early");
    leave();
}
void text_after_start() {
    const Python python;
    Py_DecRef(PyUnicode_FromString("in time"));
}

void encoded_before() {
    Py_EncodeLocale(L"name", nullptr); // takes the memory of objects
    leave();
}
void decoded_before() {
    PyMem_RawFree(Py_DecodeLocale("name", nullptr));
    const Python python;
    PyMem_Free(Py_EncodeLocale(L"name", nullptr));
}

void ensure_before() {
    PyGILState_Ensure();
    leave();
}
void initialized_first() {
    if (Py_IsInitialized() != 0) {
        std::abort();
    }
    const Python python;
    const Gil gil;
    measure();
}

void path_before() {
    PySys_GetObject("path");
    leave();
}
void raw_memory_before() {
    PyMem_RawFree(PyMem_RawMalloc(3));
    const Python python;
    PySys_GetObject("path");
}

void after_the_end() {
    {
        const Python python;
    }
    PyList_Size(list);
    leave();
}
void before_the_end() {
    {
        const Python python;
        PyList_Size(list);
    }
    Py_IsInitialized();
}

void ensure_after() {
    {
        const Python python;
    }
    PyGILState_Ensure();
    leave();
}
void asks_first() {
    {
        const Python python;
    }
    if (Py_IsInitialized() != 0) {
        std::abort();
    }
}

/// The destructor of a static object runs after main has returned.
struct Static {
    PyObject* object = nullptr;
    ~Static() {
        if (object != nullptr) {
            Py_DecRef(object);
        }
    }
};
Static callback;

void static_object() {
    const Python python;
    callback.object = PyList_New(1);
}
void static_object_released() {
    const Python python;
    callback.object = PyList_New(1);
    Py_DecRef(callback.object);
    callback.object = nullptr;
}

void static_in_function() {
    const Python python;
    static Static inside;
    inside.object = PyList_New(1);
}

void static_vector() {
    const Python python;
    static std::vector<Static> all(2);
    all[1].object = PyList_New(1);
}

void static_of_main_thread() {
    struct Mine {
        PyObject* object;
        ~Mine() { Py_DecRef(object); }
    };
    const Python python;
    thread_local Mine mine{PyList_New(1)};
    if (mine.object == nullptr) {
        std::abort();
    }
}

void at_exit() {
    const Python python;
    std::atexit([] { PyList_Size(list); });
}
void at_exit_of_python() {
    const Python python;
    list = PyList_New(0);
    std::atexit([] { Py_IsInitialized(); });
}

void py_at_exit() {
    const Python python;
    Py_AtExit([] { PyList_Size(list); });
}
void py_at_exit_frees() {
    const Python python;
    static void* memory = PyMem_RawMalloc(3);
    Py_AtExit([] { PyMem_RawFree(memory); });
}

void late_worker() {
    std::thread worker;
    {
        const Python python;
        worker = std::thread([] {
            at(1);
            PyList_Size(list);
            turn = 2;
        });
    }
    turn = 1;
    worker.join();
}
void joined_worker() {
    const Python python;
    in_thread([] {
        const Gil gil;
        measure();
    });
}

/// A thread does this, then waits until Python is finalized, and ends; with `leaves`, it ends the process.
template <class Work>
void finalized_beside(Work work, bool leaves = false) {
    std::thread worker;
    {
        const Python python;
        worker = std::thread([=] {
            work();
            turn = 1;
            at(2);
            if (leaves) {
                leave();
            }
        });
        const NoGil without;
        at(1);
    }
    turn = 2;
    worker.join();
}

/// It has called Python and waits for its next task when Python is finalized.
void worker_inside() {
    const bool leaves = true;
    finalized_beside(
        [] {
            PyGILState_Ensure();
            PyEval_SaveThread();
        },
        leaves);
}
void worker_outside() {
    finalized_beside([] { const Gil gil; });
}

/// The same with a thread state of its own, as pybind11's and nanobind's gil_scoped_acquire have.
template <bool Deletes>
void own_state_inside() {
    finalized_beside([] {
        PyThreadState* mine = PyThreadState_New(home);
        PyEval_RestoreThread(mine);
        if (Deletes) {
            PyThreadState_Clear(mine);
            PyThreadState_DeleteCurrent();
        } else {
            PyEval_SaveThread();
        }
    });
}

void finalized_without_gil() {
    const Python python;
    PyEval_SaveThread();
    Py_FinalizeEx();
    leave();
}
void finalized_with_gil() {
    const Python python;
    PyEval_RestoreThread(PyEval_SaveThread());
}

// --- exceptions ---------------------------------------------------------------------------------------------------

void called_with_error() {
    const Python python;
    PyErr_SetString(PyExc_ValueError, "not handled");
    PyObject* callable = reinterpret_cast<PyObject*>(&PyList_Type);
    PyObject* made = PyObject_CallObject(callable, nullptr);
    PyErr_Clear();
    Py_DecRef(made);
}
void called_after_clear() {
    const Python python;
    PyErr_SetString(PyExc_ValueError, "handled");
    PyErr_Clear();
    Py_DecRef(PyObject_CallObject(reinterpret_cast<PyObject*>(&PyList_Type), nullptr));
}

void shown_with_error() {
    const Python python;
    PyErr_SetString(PyExc_ValueError, "not handled");
    PyObject* made = PyObject_Repr(list);
    PyErr_Clear();
    Py_DecRef(made);
}
void shown_after_fetch() {
    const Python python;
    PyErr_SetString(PyExc_ValueError, "kept");
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    Py_DecRef(PyObject_Repr(list));
    PyErr_Restore(type, value, trace);
    PyErr_Clear();
}

/// PY_SSIZE_T_CLEAN makes another function of it up to 3.12.
template <bool Clears>
void method_with_error() {
    const Python python;
    PyErr_SetString(PyExc_ValueError, "not handled");
    if (Clears) {
        PyErr_Clear();
    }
    PyObject* made = PyObject_CallMethod(list, "copy", nullptr);
    PyErr_Clear();
    Py_DecRef(made);
}

template <bool Clears>
void finalized_with_error() {
    const Python python;
    PyErr_SetString(PyExc_ValueError, "nobody reads this");
    if (Clears) {
        PyErr_Clear();
    }
}

void released_with_error() {
    const Python python;
    in_thread([] {
        const Gil gil;
        PyErr_SetString(PyExc_ValueError, "nobody reads this");
    });
}
void released_after_print() {
    const Python python;
    in_thread([] {
        const Gil gil;
        PyErr_SetString(PyExc_ValueError, "somebody reads this");
        PyErr_Clear();
    });
}

/// With the GIL of the caller, who sees the exception.
void nested_with_error() {
    const Python python;
    {
        const Gil gil;
        PyErr_SetString(PyExc_ValueError, "for the caller");
    }
    PyErr_Clear();
}

void cleared_with_error() {
    const Python python;
    in_thread([] {
        PyThreadState* mine = PyThreadState_New(home);
        PyEval_RestoreThread(mine);
        PyErr_SetString(PyExc_ValueError, "nobody reads this");
        PyThreadState_Clear(mine);
        PyThreadState_DeleteCurrent();
    });
}

// --- other ways to call -------------------------------------------------------------------------------------------

void looked_up_without() {
    const Python python;
    const auto size = reinterpret_cast<Py_ssize_t (*)(PyObject*)>(dlsym(RTLD_DEFAULT, "PyList_Size"));
    const NoGil without;
    size(list);
}
void looked_up_with() {
    const Python python;
    const auto size = reinterpret_cast<Py_ssize_t (*)(PyObject*)>(dlsym(RTLD_DEFAULT, "PyList_Size"));
    size(list);
}

void by_ctypes() {
    const Python python;
    ::python("import ctypes\nf = ctypes.CDLL(None).PyList_Size\nf.argtypes = [ctypes.py_object]\nf([])");
}
void by_ctypes_with_gil() {
    const Python python;
    ::python("import ctypes\nf = ctypes.pythonapi.PyList_Size\nf.argtypes = [ctypes.py_object]\nf([])");
}

Py_ssize_t (*volatile size_of)(PyObject*) = PyList_Size;
void by_pointer() {
    const Python python;
    const NoGil without;
    size_of(list);
}
void by_pointer_with() {
    const Python python;
    size_of(list);
}

/// The count is changed in place; nothing of Python is called.
void counted_inline() {
    const Python python;
    in_thread([] { ++*reinterpret_cast<volatile Py_ssize_t*>(list); });
}
void counted_with() {
    const Python python;
    in_thread([] {
        const Gil gil;
        ++*reinterpret_cast<volatile Py_ssize_t*>(list);
    });
}

void child_without() {
    const Python python;
    const NoGil without;
    const pid_t child = fork();
    if (child == 0) {
        measure();
        leave();
    }
    int status = 0;
    waitpid(child, &status, 0);
}
void child_with() {
    const Python python;
    const pid_t child = fork();
    if (child == 0) {
        PyOS_AfterFork_Child();
        measure();
        leave();
    }
    int status = 0;
    waitpid(child, &status, 0);
}

void mutex_without() {
    const Python python;
    in_thread([] {
        PyThread_type_lock lock = PyThread_allocate_lock();
        PyThread_free_lock(lock);
        measure();
    });
}
void mutex_only() {
    const Python python;
    in_thread([] { PyThread_free_lock(PyThread_allocate_lock()); });
}

// --- what C and C++ call back -------------------------------------------------------------------------------------

template <bool Right>
int compare(const void* one, const void* other) {
    const auto is_less = [&] {
        return PyObject_RichCompareBool(*static_cast<PyObject* const*>(one), *static_cast<PyObject* const*>(other),
                                        Py_LT);
    };
    if (Right) {
        const Gil gil;
        return is_less() == 1 ? -1 : 1;
    }
    return is_less() == 1 ? -1 : 1;
}

template <bool Right>
void sorted() {
    const Python python;
    PyObject* numbers[] = {PyLong_FromLong(3000), PyLong_FromLong(2000), PyLong_FromLong(1000)};
    {
        const NoGil without;
        std::qsort(numbers, 3, sizeof *numbers, compare<Right>);
    }
    for (PyObject* each : numbers) {
        Py_DecRef(each);
    }
}

std::jmp_buf place;
PyThreadState* jumped_with = nullptr;

template <bool Right>
void jumped() {
    const Python python;
    if (setjmp(place) == 0) {
        jumped_with = PyEval_SaveThread();
        std::longjmp(place, 1);
    }
    if (Right) {
        PyEval_RestoreThread(jumped_with);
        measure();
    } else {
        measure();
        PyEval_RestoreThread(jumped_with);
    }
}

template <bool Right>
void quick_exit() {
    at_quick_exit([] {
        if (Right) {
            Py_IsInitialized();
        } else {
            PyErr_Clear();
        }
    });
    {
        const Python python;
    }
    std::quick_exit(0);
}

bool ends_wrong = false;
[[gnu::destructor]] void end_of_program() {
    if (ends_wrong) {
        PyErr_Clear();
    }
}
void destructor_function() {
    ends_wrong = true;
    const Python python;
}
void destructor_function_idle() {
    const Python python;
}

template <bool Right>
void error_carried() {
    const Python python;
    PyErr_SetString(PyExc_ValueError, "far away");
    PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
    PyErr_Fetch(&type, &value, &trace);
    in_thread([&] {
        if (Right) {
            const Gil gil;
            PyErr_Restore(type, value, trace);
            PyErr_Clear();
        } else {
            PyErr_Restore(type, value, trace);
        }
    });
}

template <bool Right>
void iterated() {
    const Python python;
    PyObject* builtins = PyImport_ImportModule("builtins");
    PyObject* to_number = PyObject_GetAttrString(builtins, "int");
    PyObject* words = PyUnicode_FromString("12x");
    PyObject* numbers = PyObject_CallMethod(builtins, "map", "OO", to_number, words);
    while (PyObject* number = PyIter_Next(numbers)) {
        Py_DecRef(number);
    }
    if (Right) {
        PyErr_Clear();
    }
    Py_DecRef(PyObject_CallObject(to_number, nullptr));
    PyErr_Clear();
    for (PyObject* each : {builtins, to_number, words, numbers}) {
        Py_DecRef(each);
    }
}

void free_memory(PyObject* owner) {
    std::free(PyCapsule_GetPointer(owner, "memory"));
}
template <bool Right>
void capsule_elsewhere() {
    const Python python;
    PyObject* owner = PyCapsule_New(std::malloc(8), "memory", free_memory);
    in_thread([&] {
        if (Right) {
            const Gil gil;
            Py_DecRef(owner);
        } else {
            Py_DecRef(owner);
        }
    });
}

template <bool Right>
void exception_for_a_thread() {
    const Python python;
    in_thread([] {
        constexpr unsigned long nobody = 1;
        if (Right) {
            const Gil gil;
            PyThreadState_SetAsyncExc(nobody, PyExc_KeyboardInterrupt);
        } else {
            PyThreadState_SetAsyncExc(nobody, PyExc_KeyboardInterrupt);
        }
    });
}

/// Called by a thread of Python's own.
template <bool Right>
PyObject* native_work(PyObject*, PyObject*) {
    PyThreadState* state = PyEval_SaveThread();
    if (Right) {
        PyEval_RestoreThread(state);
    }
    PyErr_CheckSignals();
    if (!Right) {
        PyEval_RestoreThread(state);
    }
    return PyLong_FromLong(3);
}
template <bool Right>
void python_thread() {
    static PyMethodDef work = {"work", native_work<Right>, METH_NOARGS, nullptr};
    const Python python;
    PyObject* function = PyCFunction_NewEx(&work, nullptr, nullptr);
    PyObject_SetAttrString(PyImport_AddModule("__main__"), "work", function);
    Py_DecRef(function);
    ::python("import threading\nt = threading.Thread(target=work)\nt.start()\nt.join()");
}

// --- references that a container lends ----------------------------------------------------------------------------

/// A list with an object that nothing else refers to.
PyObject* list_of_one() {
    PyObject* lists = PyList_New(1);
    PyList_SetItem(lists, 0, PyList_New(0));
    return lists;
}

void item_kept() {
    const Python python;
    PyObject* lists = list_of_one();
    PyObject* item = PyList_GetItem(lists, 0);
    {
        const NoGil without;
    }
    PyList_Size(item);
    Py_DecRef(lists);
}
void item_owned() {
    const Python python;
    PyObject* lists = list_of_one();
    PyObject* item = PyList_GetItem(lists, 0);
    Py_IncRef(item);
    {
        const NoGil without;
    }
    PyList_Size(item);
    Py_DecRef(item);
    Py_DecRef(lists);
}

void use_value(bool look_up_again) {
    const Python python;
    PyObject* values = PyDict_New();
    in_thread([&] {
        auto state = PyGILState_Ensure();
        PyObject* value = PyList_New(0);
        PyDict_SetItemString(values, "names", value);
        Py_DecRef(value);
        value = PyDict_GetItemString(values, "names");
        PyGILState_Release(state);
        state = PyGILState_Ensure();
        if (look_up_again) {
            value = PyDict_GetItemString(values, "names");
        }
        PyList_Append(value, Py_None);
        PyGILState_Release(state);
    });
    Py_DecRef(values);
}

void queue_kept() {
    const Python python;
    PyObject* queue = list_of_one();
    for (int i = 0; i < 3; ++i) {
        PyObject* job = PyList_GetItem(queue, 0);
        {
            const NoGil without;
        }
        PyObject_IsTrue(job);
    }
    Py_DecRef(queue);
}
void queue_taken_from() {
    const Python python;
    PyObject* queue = list_of_one();
    PyObject* job = PyList_GetItem(queue, 0);
    Py_IncRef(job);
    PySequence_DelItem(queue, 0);
    {
        const NoGil without;
    }
    PyObject_IsTrue(job);
    Py_DecRef(job);
    Py_DecRef(queue);
}

// ------------------------------------------------------------------------------------------------------------------

struct Case {
    const char* name;
    const char* what;
    const char* found; // a rule of the contract; or why it cannot be seen
    void (*wrong)();
    void (*right)();
};

constexpr const char* without_gil = "GIL";
constexpr const char* before = "initialization";
constexpr const char* after = "finalization";

const Case cases[] = {
    {"append", "PyList_Append with the GIL released", without_gil, released<append>, held<append>},
    {"build", "Py_BuildValue with the GIL released", without_gil, released<build>, held<build>},
    {"parse", "PyArg_ParseTuple with the GIL released", without_gil, released<parse>, held<parse>},
    {"format", "PyUnicode_FromFormat with the GIL released", without_gil, released<format>, held<format>},
    {"attribute", "PyObject_GetAttrString in a C++ thread", without_gil, foreign<attribute>, held<attribute>},
    {"import", "PyImport_ImportModule in a C++ thread", without_gil, foreign<import>, held<import>},
    {"run", "PyRun_SimpleString in a C++ thread", without_gil, foreign<run>, held<run>},
    {"stack_size", "PyThread_get_stacksize in a C++ thread", without_gil, foreign<stack_size>, held<stack_size>},
    {"occurred", "PyErr_Occurred with the GIL released", without_gil, released<occurred>, held<occurred>},
    {"signals", "PyErr_CheckSignals in a long computation without the GIL", without_gil, released<signals>,
     held<signals>},
    {"pending_calls", "Py_MakePendingCalls with the GIL released", without_gil, released<pending_calls>,
     held<pending_calls>},
    {"set_error", "PyErr_SetString in a C++ thread", without_gil, foreign<set_error>, held<set_error>},
    {"warning", "PyErr_WarnEx in a C++ thread", without_gil, foreign<pending>, held<pending>},
    {"allocate", "PyMem_Malloc in a C++ thread", without_gil, foreign<allocate>, held<allocate>},
    {"object_memory", "PyObject_Malloc in a C++ thread", without_gil, foreign<object_memory>, held<object_memory>},
    {"tuple", "PyTuple_New in a C++ thread", without_gil, foreign<tuple>, held<tuple>},
    {"number", "PyLong_FromLong with the GIL released", without_gil, released<number>, held<number>},
    {"real", "PyFloat_FromDouble with the GIL released", without_gil, released<real>, held<real>},
    {"dictionary", "PyDict_SetItemString in a C++ thread", without_gil, foreign<dictionary>, held<dictionary>},
    {"iterate", "PyObject_GetIter in a C++ thread", without_gil, foreign<iterate>, held<iterate>},
    {"write", "PySys_WriteStdout in a C++ thread", without_gil, foreign<write_out>, held<write_out>},
    {"weak", "PyWeakref_NewRef in a C++ thread", without_gil, foreign<reference>, held<reference>},
    {"capsule", "PyCapsule_New in a C++ thread", without_gil, foreign<capsule>, held<capsule>},
    {"collector", "PyGC_Disable in a C++ thread", without_gil, foreign<collect>, held<collect>},
    {"buffer", "PyBuffer_Release with the GIL released", without_gil, buffer_released_without, buffer_released_with},
    {"async", "a task of std::async", without_gil, async_without, async_with},
    {"timer", "the thread of a timer (SIGEV_THREAD)", without_gil, timer<false>, timer<true>},
    {"last_owner", "the deleter of a shared_ptr whose last owner is a C++ thread", without_gil, last_owner<false>,
     last_owner<true>},
    {"handler", "a signal handler that runs while the GIL is released", without_gil, handler_without_gil,
     handler_asks_python},
    {"catch", "a catch block after the guard of the GIL is gone", without_gil, catch_without, catch_with},
    {"thread_local", "the destructor of a thread_local object", without_gil, thread_local_object<false>,
     thread_local_object<true>},
    {"thread_specific", "the destructor of pthread_key_create", without_gil, thread_specific_object<false>,
     thread_specific_object<true>},
    {"state_not_attached", "a thread state that was made and not attached", without_gil, state_not_attached,
     state_attached},
    {"swapped_out", "after PyThreadState_Swap(NULL)", without_gil, swapped_out, swapped_back},
    {"released_thread", "after PyEval_ReleaseThread", without_gil, thread_released, thread_acquired},
    {"saved_twice", "PyEval_SaveThread twice", without_gil, saved_twice, saved_once},
    {"restored_twice", "PyEval_RestoreThread twice", "attached twice", restored_twice, restored_once},
    {"released_twice", "PyGILState_Release twice", without_gil, released_twice, ensured_twice},
    {"release_only", "PyGILState_Release without PyGILState_Ensure", "unmatched release", release_without_ensure,
     release_after_ensure},
    {"released_elsewhere", "PyGILState_Release by another thread than PyGILState_Ensure", without_gil,
     released_elsewhere, released_where_ensured},
    {"cleared", "PyThreadState_Clear without the GIL", without_gil, cleared_without, cleared_with},
    {"early_return", "a thread that returns between PyGILState_Ensure and PyGILState_Release", "ended with the GIL",
     early_return, guarded_return},
    {"pthread_exit", "pthread_exit between PyGILState_Ensure and PyGILState_Release", "ended with the GIL",
     ended_by_exit, exit_after_release},
    {"own_state", "a thread that ends with a thread state of its own attached", "ended with the GIL",
     ended_with_own_state, deleted_own_state},
    {"nested", "two calls of PyGILState_Ensure and one of PyGILState_Release", "never released", one_release_too_few,
     ensured_twice},
    {"never_deleted", "a thread state that is detached and never deleted", "never deleted", state_never_deleted,
     deleted_own_state},
    {"cleared_only", "a thread state that is cleared and never deleted", "never deleted", state_cleared_only,
     deleted_own_state},
    {"interpreter_left", "a sub-interpreter that is never ended", "interpreter never ended", interpreter_left,
     interpreter_ended},
    {"after_its_end", "after Py_EndInterpreter, without PyThreadState_Swap", without_gil, after_its_end,
     swapped_after_its_end},
    {"object_of_another", "an object of the main interpreter in one with its own GIL", "another interpreter",
     object_of_another, object_of_its_own},
    {"object_from_another", "an object of an interpreter with its own GIL in the main one", "another interpreter",
     object_from_another, text_from_another},
    {"appended_to_another", "PyList_Append of an object of another interpreter", "another interpreter",
     passed_on<append_it>, passed_on<leave_it>},
    {"named_in_another", "PyDict_SetItemString of an object of another interpreter", "another interpreter",
     passed_on<name_it>, object_of_its_own},
    {"packed_in_another", "PyTuple_Pack of an object of another interpreter", "another interpreter", passed_on<pack_it>,
     object_of_its_own},
    {"called_in_another", "a call with an object of another interpreter", "another interpreter",
     passed_on<call_with_it>, object_of_its_own},
    {"before", "PyUnicode_FromString before Py_Initialize", before, text_before, text_after_start},
    {"encoded_before", "Py_EncodeLocale before Py_Initialize", before, encoded_before, decoded_before},
    {"ensure_before", "PyGILState_Ensure before Py_Initialize", before, ensure_before, initialized_first},
    {"path_before", "PySys_GetObject before Py_Initialize", before, path_before, raw_memory_before},
    {"after", "PyList_Size after Py_FinalizeEx", after, after_the_end, before_the_end},
    {"ensure_after", "PyGILState_Ensure after Py_FinalizeEx", after, ensure_after, asks_first},
    {"static", "the destructor of a static object", after, static_object, static_object_released},
    {"static_in_function", "the destructor of a static object in a function", after, static_in_function,
     static_object_released},
    {"static_vector", "an element of a static std::vector", after, static_vector, static_object_released},
    {"main_thread_local", "the destructor of the main thread's thread_local object", after, static_of_main_thread,
     static_object_released},
    {"at_exit", "a function of std::atexit", after, at_exit, at_exit_of_python},
    {"py_at_exit", "a function of Py_AtExit", after, py_at_exit, py_at_exit_frees},
    {"late_worker", "a thread that Py_FinalizeEx did not wait for", after, late_worker, joined_worker},
    {"worker_inside", "a thread inside PyGILState_Ensure during Py_FinalizeEx", "inside at finalization", worker_inside,
     worker_outside},
    {"own_state_inside", "a thread that has its own thread state during Py_FinalizeEx", "inside at finalization",
     own_state_inside<false>, own_state_inside<true>},
    {"finalized_without", "Py_FinalizeEx without the GIL", without_gil, finalized_without_gil, finalized_with_gil},
    {"called_with_error", "PyObject_CallObject with an exception set", "exception set", called_with_error,
     called_after_clear},
    {"shown_with_error", "PyObject_Repr with an exception set", "exception set", shown_with_error, shown_after_fetch},
    {"method_with_error", "PyObject_CallMethod with an exception set", "exception set", method_with_error<false>,
     method_with_error<true>},
    {"finalized_with_error", "Py_FinalizeEx with an exception set", "exception lost", finalized_with_error<false>,
     finalized_with_error<true>},
    {"released_with_error", "PyGILState_Release of a C++ thread with an exception set", "exception lost",
     released_with_error, released_after_print},
    {"cleared_with_error", "PyThreadState_Clear with an exception set", "exception lost", cleared_with_error,
     nested_with_error},
    {"looked_up", "a function that dlsym returned", without_gil, looked_up_without, looked_up_with},
    {"ctypes", "ctypes.CDLL, which releases the GIL", without_gil, by_ctypes, by_ctypes_with_gil},
    {"child", "the child of a fork that was made without the GIL", without_gil, child_without, child_with},
    {"lock", "PyList_Size after PyThread_allocate_lock in a C++ thread", without_gil, mutex_without, mutex_only},
    {"sorted", "a comparison function of qsort, called with the GIL released", without_gil, sorted<false>,
     sorted<true>},
    {"jumped", "a longjmp out of a block that released the GIL", without_gil, jumped<false>, jumped<true>},
    {"quick_exit", "a function of at_quick_exit", after, quick_exit<false>, quick_exit<true>},
    {"destructor_function", "a function with the attribute destructor", after, destructor_function,
     destructor_function_idle},
    {"error_carried", "PyErr_Restore in a C++ thread", without_gil, error_carried<false>, error_carried<true>},
    {"iterated", "an exception of PyIter_Next that nobody looks at", "exception set", iterated<false>, iterated<true>},
    {"capsule_elsewhere", "a capsule that a C++ thread releases", without_gil, capsule_elsewhere<false>,
     capsule_elsewhere<true>},
    {"for_a_thread", "PyThreadState_SetAsyncExc in a C++ thread", without_gil, exception_for_a_thread<false>,
     exception_for_a_thread<true>},
    {"python_thread", "PyErr_CheckSignals with the GIL released, in a thread of Python's own", without_gil,
     python_thread<false>, python_thread<true>},
    {"item_kept", "PyList_GetItem, and its item after a release of the GIL", "advice", item_kept, item_owned},
    {"value_kept", "PyDict_GetItemString, and its value after PyGILState_Release", "advice", [] { use_value(false); },
     [] { use_value(true); }},
    {"queue_kept", "the first of a list, which another thread may remove meanwhile", "advice", queue_kept,
     queue_taken_from},
    {"pointer", "a pointer to a function in a static variable", "not seen: a variable, no call", by_pointer,
     by_pointer_with},
    {"inline", "Py_INCREF of a release build in a C++ thread", "not seen: it calls nothing", counted_inline,
     counted_with},
};

} // namespace

int main(int count, char** words) {
    for (const auto& each : cases) {
        if (count < 3) {
            std::printf("%s\t%s\t%s\n", each.name, each.found, each.what);
        } else if (std::strcmp(each.name, words[1]) == 0) {
            (std::strcmp(words[2], "wrong") == 0 ? each.wrong : each.right)();
            return 0;
        }
    }
    return count < 3 ? 0 : 2;
}
