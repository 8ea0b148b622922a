// A thread attaches to Python and stays, while the main thread waits for ever without the GIL: nothing orders the
// thread's new state with what is read of it when the stacks of the hang are written.
#include <Python.h>
#include <atomic>
#include <thread>
#include <unistd.h>

int main() {
    Py_Initialize();
    PyEval_SaveThread();
    std::atomic<bool> attached{false};
    std::thread thread([&] {
        const PyGILState_STATE state = PyGILState_Ensure();
        Py_BEGIN_ALLOW_THREADS
        attached.store(true, std::memory_order_relaxed);
        pause();
        Py_END_ALLOW_THREADS
        PyGILState_Release(state);
    });
    while (!attached.load(std::memory_order_relaxed)) {
        std::this_thread::yield();
    }
    pause();
    thread.join();
}
