// Embeds Python and calls the `work` of a program in four threads: `embedder PROGRAM`. Correct: each thread holds the
// GIL.
#include <Python.h>
#include <atomic>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

static std::atomic<int> failures{0};

static void work() {
    for (int turn = 0; turn < 3; ++turn) {
        const PyGILState_STATE state = PyGILState_Ensure();
        PyObject* result = PyObject_CallMethod(PyImport_AddModule("__main__"), "work", nullptr);
        if (result == nullptr) {
            PyErr_Print();
            ++failures;
        }
        Py_XDECREF(result);
        PyGILState_Release(state);
    }
}

int main(int, char** arguments) {
    std::ifstream file(arguments[1]);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    Py_Initialize();
    if (PyRun_SimpleString(text.c_str()) != 0) {
        return 1;
    }
    PyEval_SaveThread(); // for good: threads of a library may need the GIL when the program ends
    std::vector<std::thread> threads;
    for (int number = 0; number < 4; ++number) {
        threads.emplace_back(work);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    return failures == 0 ? 0 : 1;
}
