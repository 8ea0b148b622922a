// A second nanobind module in the process, built without FREE_THREADED.

#include "harness/scenario.hpp"

#include <filesystem>

namespace python_tsan {

long long g_beside_nanobind_counter = 0;

static PYTHON_TSAN_NOINLINE void increment_beside_nanobind() {
    const py::gil_scoped_acquire gil;
    const long long seen = g_beside_nanobind_counter;
    keep_apart();
    g_beside_nanobind_counter = seen + 1;
}

SCENARIO(
    nanobind_without_free_threaded,
    "nanobind",
    "A nanobind module that was built without FREE_THREADED is imported: the GIL is enabled for the whole process.",
    .clean()
        .clean_without_gil()
        .expect_value("gil_enabled", true)
        .expect_value("gil_enabled_by", "python_tsan_nanobind_unmarked")
        .twin("counter_guarded")
        .needs("free_threading")) {
    {
        const Interpreter python(context);
        const auto beside = std::filesystem::read_symlink("/proc/self/exe").parent_path();
        py::import_module("sys").attr("path").attr("insert")(0, beside.string());
        py::import_module("python_tsan_nanobind_unmarked");
        const long long expected = race_guarded(context, increment_beside_nanobind);
        context.check("count", g_beside_nanobind_counter, expected);
    }
    context.value("gil_enabled", gil_record().enabled);
    context.value("gil_enabled_by", gil_record().enabled_by);
}

} // namespace python_tsan
