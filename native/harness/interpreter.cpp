#include "harness/interpreter.hpp"

#include "harness/gil.hpp"
#include "harness/stacks.hpp"

#include <csignal>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

namespace python_tsan {

namespace {

/// Frees the configuration on every path.
struct Configuration {
    PyConfig python;

    Configuration() { PyConfig_InitIsolatedConfig(&python); }
    ~Configuration() { PyConfig_Clear(&python); }
    Configuration(const Configuration&) = delete;
    Configuration& operator=(const Configuration&) = delete;

    void text(wchar_t** field, const char* value) {
        const PyStatus status = PyConfig_SetBytesString(&python, field, value);
        if (PyStatus_Exception(status) != 0) {
            throw std::runtime_error(std::string("CPython's configuration: ") + status.err_msg);
        }
    }
};

void arm_stack_dump() {
    if (stacks_file() >= 0) {
        py::import_module("faulthandler")
            .attr("register")(SIGUSR1, py::arg("file") = stacks_file(), py::arg("all_threads") = true);
        silence_stack_dump();
    }
}

/// Without a GIL, 3.13 makes objects immortal when its second thread attaches, and publishes that by an unsynchronized
/// write. It is triggered here once, before a scenario's threads start; 3.14 no longer does it:
/// https://github.com/python/cpython/issues/117657
void trigger_immortalization() {
#if defined(Py_GIL_DISABLED) && PY_VERSION_HEX < 0x030E0000
    const py::gil_scoped_release meanwhile;
    std::thread([] { const py::gil_scoped_acquire thread_state; }).join();
#endif
}

/// Wait for the threads that Python code started, daemon threads too. Otherwise CPython ends them when they next ask
/// for the GIL and never joins them, and the sanitizer reports a thread leak.
void join_python_threads() {
    py::dict names;
    py::exec(R"(
import sys
threading = sys.modules.get("threading")
for thread in threading.enumerate() if threading else ():
    mine = thread in (threading.main_thread(), threading.current_thread())
    if not mine and not isinstance(thread, threading._DummyThread):  # a dummy is a C++ thread that called Python
        thread.join()
)",
             names);
}

} // namespace

Interpreter::Interpreter(const Context& context) : exceptions_before_(std::uncaught_exceptions()) {
    Configuration configuration;
    // CPython finds its library relative to the executable, even after the interpreter was moved.
    configuration.text(&configuration.python.program_name, PYTHON_TSAN_EXECUTABLE);
    configuration.python.write_bytecode = 0;
    python_ = std::make_unique<py::Embedded>(&configuration.python);
    watch_gil();
    python_->attach();
    trigger_immortalization();
    arm_stack_dump();
    if (!context.options().packages.empty()) {
        py::import_module("sys").attr("path").attr("insert")(0, context.options().packages);
    }
}

Interpreter::~Interpreter() {
    const bool leaving_by_exception = std::uncaught_exceptions() > exceptions_before_;
    try {
        note_gil();
        if (!leaving_by_exception) {
            join_python_threads();
        }
    } catch (const std::exception& problem) {
        std::cerr << "ending the interpreter: " << problem.what() << '\n';
    }
    if (leaving_by_exception) {
        static_cast<void>(python_.release()); // the process is about to end
    }
}

void call_from_python(const std::string& function, const std::function<void()>& body) {
    py::dict names;
    names["body"] = py::cpp_function([&body] { body(); });
    py::exec(py::str(("def " + function + "():\n    body()\n").c_str()), names);
    names[function.c_str()]();
}

} // namespace python_tsan
