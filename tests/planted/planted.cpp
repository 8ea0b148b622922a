// Embeds Python and calls `work(0)` and `work(1)` of a program in two threads: `planted PROGRAM`. Its module `planted`
// has a race in every run: the threads meet by relaxed atomics, which order nothing, after they have released the GIL.
#include <Python.h>
#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

static int g_planted = 0;
static std::atomic<int> arrived{0};
static std::atomic<int> failures{0};
static constexpr std::chrono::seconds kPatience{30};

/// Waits until the other thread is here too, or its patience ends.
static bool meet() {
    const int number = arrived.fetch_add(1, std::memory_order_relaxed);
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (arrived.load(std::memory_order_relaxed) < (number / 2 + 1) * 2) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

static PyObject* result_of(bool met) {
    if (!met) {
        PyErr_SetString(PyExc_TimeoutError, "the other thread did not come");
        return nullptr;
    }
    Py_RETURN_NONE;
}

static PyObject* planted_meet(PyObject*, PyObject*) {
    bool met = false;
    Py_BEGIN_ALLOW_THREADS
    met = meet();
    Py_END_ALLOW_THREADS
    return result_of(met);
}

static PyObject* planted_count(PyObject*, PyObject*) {
    bool met = false;
    Py_BEGIN_ALLOW_THREADS
    met = meet();
    ++g_planted;
    Py_END_ALLOW_THREADS
    return result_of(met);
}

/// Writes the first byte of a buffer between two meetings: the other thread uses it between the same two.
static PyObject* planted_write(PyObject*, PyObject* object) {
    Py_buffer buffer;
    if (PyObject_GetBuffer(object, &buffer, PyBUF_WRITABLE) != 0) {
        return nullptr;
    }
    bool met = false;
    Py_BEGIN_ALLOW_THREADS
    met = meet();
    *static_cast<volatile char*>(buffer.buf) = 1;
    met = meet() && met;
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&buffer);
    return result_of(met);
}

static PyMethodDef methods[] = {
    {"meet", planted_meet, METH_NOARGS, "Wait for the other thread."},
    {"count", planted_count, METH_NOARGS, "Wait for the other thread, then count without a lock."},
    {"write", planted_write, METH_O, "Wait for the other thread, write the buffer, and wait again."},
    {nullptr, nullptr, 0, nullptr},
};
static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "planted", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};

static PyObject* begin() {
    return PyModule_Create(&definition);
}

static void work(int number) {
    const PyGILState_STATE state = PyGILState_Ensure();
    PyObject* result = PyObject_CallMethod(PyImport_AddModule("__main__"), "work", "i", number);
    if (result == nullptr) {
        PyErr_Print();
        ++failures;
    }
    Py_XDECREF(result);
    PyGILState_Release(state);
}

int main(int, char** arguments) {
    std::ifstream file(arguments[1]);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    PyImport_AppendInittab("planted", begin);
    Py_Initialize();
    if (PyRun_SimpleString(text.c_str()) != 0) {
        return 1;
    }
    PyEval_SaveThread(); // for good: threads of a library may need the GIL when the program ends
    std::thread first(work, 0);
    std::thread second(work, 1);
    first.join();
    second.join();
    return failures == 0 ? 0 : 1;
}
