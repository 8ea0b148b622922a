// Single-phase extension modules that import each other in their PyInit functions. CPython calls those before the
// module is in sys.modules, so that no partially initialized module can be returned: the cycle is an error.

#include "harness/scenario.hpp"

#include <functional>
#include <string>
#include <vector>

namespace python_tsan {

static PyModuleDef g_definition_a = {
    PyModuleDef_HEAD_INIT, "a", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
static PyModuleDef g_definition_b = {
    PyModuleDef_HEAD_INIT, "b", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
static bool g_begun_a = false; // protected by the GIL
static bool g_begun_b = false;

/// Import `other` before the module is created, but not again when that import leads back here.
static PyObject* initialise(PyModuleDef& definition, bool& begun, const char* other) {
    if (!begun) {
        begun = true;
        PyObject* module = PyImport_ImportModule(other);
        if (module == nullptr) {
            return nullptr;
        }
        Py_DECREF(module);
    }
    return PyModule_Create(&definition);
}

static PyObject* initialise_a() {
    return initialise(g_definition_a, g_begun_a, "b");
}

static PyObject* initialise_b() {
    return initialise(g_definition_b, g_begun_b, "a");
}

/// Let T1 import a and T2 import b, each held where it is about to create its module until the other is there too.
static void cross(Context& context, bool preimport) {
    PyImport_AppendInittab("a", initialise_a);
    PyImport_AppendInittab("b", initialise_b);
    const Interpreter python(context);
    const py::object holds = py::import_module("import_cases.rows").attr("row")("create_cycle").attr("holds");
    const py::object modules = py::import_module("builtins").attr("frozenset")(py::make_tuple("a", "b"));
    const py::object scheduler = py::import_module("import_cases.scheduler").attr("Scheduler")(holds, modules);
    if (preimport) {
        py::import_module("a");
    }
    scheduler.attr("install")();
    std::vector<std::string> lost;
    const auto import = [&](const char* thread, const char* module) {
        const py::gil_scoped_acquire gil;
        scheduler.attr("enter")(thread);
        try {
            py::import_module(module);
        } catch (const py::error_already_set&) {
            lost.emplace_back(thread);
            scheduler.attr("leave")(thread);
            throw;
        }
        scheduler.attr("leave")(thread);
    };
    race(context, {[&] { import("T1", "a"); }, [&] { import("T2", "b"); }});
    context.value("finished", 2);
    context.value("lost", lost.empty() ? std::string() : lost.size() == 1 ? lost[0] : std::string("T1 T2"));
}

SCENARIO(imports_pyinit_cycle,
         "imports",
         "T1 is in PyInit_a and waits for b; T2 is in PyInit_b and comes to its import of a.",
         .by_version("create_cycle").twin("imports_pyinit_cycle_preimport").needs("gil")) {
    cross(context, false);
}

SCENARIO(imports_pyinit_cycle_preimport,
         "imports",
         "The same threads, after the main thread has imported both.",
         .by_version("create_cycle.preimport").twin("imports_pyinit_cycle").needs("gil")) {
    cross(context, true);
}

} // namespace python_tsan
