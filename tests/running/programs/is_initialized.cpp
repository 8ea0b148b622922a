// A thread asks whether Python is initialized while the main thread initializes it, which the documentation allows at
// any time.
#include <Python.h>
#include <thread>

int main() {
    std::thread thread([] {
        while (Py_IsInitialized() == 0) {
            std::this_thread::yield();
        }
    });
    Py_Initialize();
    thread.join();
    return Py_IsInitialized() != 0 ? 0 : 1;
}
