// python_tsan::safe_import in the interleavings in which plain imports fail, and called with the GIL held by threads
// that all import the same module for the first time.

#include "harness/scenario.hpp"

#include <python_tsan/safe_import.hpp>

#include <filesystem>
#include <functional>
#include <string>
#include <unistd.h>
#include <vector>

namespace python_tsan {

/// Run the hazard of a row of import_cases with safe_import for every import. A thread reports that it has reached the
/// lock before it imports, so that the row's schedule does not hold the lock's owner forever.
static void play_through_safe_import(Context& context, const char* row) {
    const auto name = "python-tsan-safe-import-" + std::to_string(getpid());
    const std::filesystem::path folder = std::filesystem::temp_directory_path() / name;
    const Interpreter python(context);
    const py::object run = safe_import("import_cases.case_run").attr("CaseRun")(row, "hazard", folder.string());
    const py::object mark = run.attr("scheduler").attr("mark");
    run.attr("import_one") = py::cpp_function([&mark](const std::string& module) {
        mark("lock");
        return safe_import(module.c_str());
    });
    std::vector<std::function<void()>> jobs;
    for (const auto& thread : py::cast<py::dict>(run.attr("threads"))) {
        jobs.emplace_back([&run, part = py::cast<std::string>(thread.first)] {
            const py::gil_scoped_acquire gil;
            run.attr("play")(part);
        });
    }
    race(context, jobs);
    context.check("finished", static_cast<long long>(py::cast<py::dict>(run.attr("errors")).size()), 2LL);
    context.check("lost", py::cast<std::string>(run.attr("lost")), std::string());
    std::filesystem::remove_all(folder);
}

SCENARIO(safe_import_cold_window,
         "imports",
         "The threads of imports_cold_window, importing through safe_import.",
         .clean().twin("imports_cold_window").repeats(3)) {
    play_through_safe_import(context, "cold_window");
}

SCENARIO(safe_import_siblings,
         "imports",
         "The threads of imports_import_module, a cycle between siblings, importing through safe_import.",
         .clean().twin("imports_import_module").repeats(3)) {
    play_through_safe_import(context, "import_module");
}

SCENARIO(safe_import_many_threads,
         "imports",
         "Every thread imports the same modules through safe_import repeatedly, and each is fully initialized.",
         .clean()) {
    const Interpreter python(context);
    race(context, [&](unsigned) {
        const py::gil_scoped_acquire gil;
        for (unsigned i = 0; i < context.iterations(); ++i) {
            safe_import("json.decoder").attr("JSONDecoder");
            safe_import("email.mime.text").attr("MIMEText");
        }
    });
    context.check("complete", py::hasattr(safe_import("email.mime.text"), "MIMEText"), true);
}

/// Import a module in a new thread state of a sub-interpreter, and return whether the result is `of_main`. With the C
/// API only: pybind11 2.13 supports only the main interpreter.
static bool imports_modules_of_main(PyInterpreterState* interpreter, PyObject* of_main) {
    PyThreadState* state = PyThreadState_New(interpreter);
    PyEval_RestoreThread(state);
    PyObject* module = safe_import_raw("xml.dom.domreg");
    const bool same = module == of_main;
    const bool failed = module == nullptr;
    PyErr_Clear();
    Py_XDECREF(module);
    PyThreadState_Clear(state);
    PyThreadState_DeleteCurrent();
    return same || failed;
}

SCENARIO(safe_import_interpreters,
         "imports",
         "Threads of two sub-interpreters import the same module, and each gets its own interpreter's.",
         .clean()) {
    const Interpreter python(context);
    const py::module_ of_main = safe_import("xml.dom.domreg");
    PyThreadState* main_state = PyThreadState_Get();
    const std::vector<PyThreadState*> others{Py_NewInterpreter(), Py_NewInterpreter()};
    PyThreadState_Swap(main_state);
    std::vector<char> wrong(others.size(), 0);
    race(context, {[&] { wrong[0] = imports_modules_of_main(others[0]->interp, of_main.ptr()); },
                   [&] { wrong[1] = imports_modules_of_main(others[1]->interp, of_main.ptr()); }});
    for (PyThreadState* other : others) {
        PyThreadState_Swap(other);
        Py_EndInterpreter(other);
    }
    PyThreadState_Swap(main_state);
    context.check("wrong_modules", wrong[0] + wrong[1], 0);
    context.check("same_in_main", safe_import("xml.dom.domreg").is(of_main), true);
}

SCENARIO(safe_import_unknown_name,
         "imports",
         "A module that does not exist raises an ordinary ModuleNotFoundError, and the next import works.",
         .clean()) {
    const Interpreter python(context);
    long long refused = 0;
    try {
        safe_import("json.no_such_module");
    } catch (const py::error_already_set& error) {
        refused += error.matches(PyExc_ModuleNotFoundError) ? 1 : 0;
    }
    context.check("refused", refused, 1LL);
    context.check("goes_on", py::hasattr(safe_import("json"), "loads"), true);
}

} // namespace python_tsan
