#pragma once

/// The embedded CPython, for as long as the object lives.

#include "harness/context.hpp"

#include <binding.hpp>

#include <functional>
#include <memory>
#include <string>

namespace python_tsan {

/// Initialises CPython in its constructor. Its destructor joins the threads that Python code started and finalises
/// CPython. Both run on the same thread, which holds the GIL in between (race() releases it while its threads run). The
/// interpreter is isolated from the user's environment and writes no bytecode, so that each run does the same I/O. One
/// at a time.
///
/// If the environment variable PYTHON_TSAN_STACKS names a file, SIGUSR1 makes faulthandler append every thread's
/// Python stack to it, without needing the GIL.
class Interpreter {
public:
    explicit Interpreter(const Context& context);
    /// While an exception passes, the interpreter stays alive: main needs it to describe the exception.
    ~Interpreter();
    Interpreter(const Interpreter&) = delete;
    Interpreter& operator=(const Interpreter&) = delete;

private:
    int exceptions_before_;
    std::unique_ptr<py::Embedded> python_;
};

/// Call `body` from a Python function of that name, so that the stacks of a hang show which one waits. Needs the GIL.
void call_from_python(const std::string& function, const std::function<void()>& body);

} // namespace python_tsan
