#include "scenarios/imports_stage.hpp"

#include "harness/scenario.hpp"

#include <filesystem>
#include <functional>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <vector>

namespace python_tsan {

namespace {

std::mutex g_import_mutex;

/// The folder for the row's packages: next to the report, as part of its evidence, or a folder of this process.
std::string tree_folder(const Options& options) {
    if (!options.report.empty()) {
        return options.report + ".packages";
    }
    return std::filesystem::temp_directory_path() / ("python-tsan-packages-" + std::to_string(getpid()));
}

/// A thread that writes, next to the report, who waits for whom once the row's threads are blocked. It is not one of
/// Python's: before 3.13 a join of those returns while the thread still frees its thread state, which races with
/// finalization: https://github.com/python/cpython/issues/110829
class Monitor {
public:
    Monitor(const Options& options, const py::object& run) {
        if (!options.report.empty()) {
            const auto notes = std::filesystem::path(options.report).replace_filename("waits.txt");
            const py::object made =
                py::import_module("import_cases.stall_monitor").attr("StallMonitor")(run, notes.string());
            watch_ = made.attr("watch");
            thread_ = std::thread([this] { watch(); });
        }
    }
    ~Monitor() {
        if (thread_.joinable()) {
            const py::gil_scoped_release meanwhile;
            thread_.join();
        }
    }
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

private:
    void watch() {
        const py::gil_scoped_acquire gil;
        try {
            watch_();
        } catch (const std::exception& problem) {
            std::cerr << "who waits for whom is not known: " << problem.what() << '\n';
        }
    }

    py::object watch_;
    std::thread thread_;
};

/// What one thread imports, or calls in a module, copied out of Python so that a thread needs the GIL only for the
/// imports.
struct Part {
    std::string thread;
    std::vector<std::string> steps;
};

std::vector<Part> parts_of(const py::object& run) {
    std::vector<Part> parts;
    for (const auto& item : py::cast<py::dict>(run.attr("threads"))) {
        Part& part = parts.emplace_back(Part{py::cast<std::string>(item.first), {}});
        for (const auto& step : item.second) {
            part.steps.push_back(py::cast<std::string>(step));
        }
    }
    return parts;
}

void import_all(const Part& part) {
    for (const auto& step : part.steps) {
        const auto colon = step.find(':');
        const auto module = py::import_module(step.substr(0, colon).c_str());
        if (colon != std::string::npos) {
            module.attr(step.substr(colon + 1).c_str())();
        }
    }
}

void import_one_at_a_time(const py::object& run, const Part& part) {
    run.attr("scheduler").attr("mark")("lock");
    const py::gil_scoped_release before_the_mutex;
    const std::lock_guard<std::mutex> lock(g_import_mutex);
    const py::gil_scoped_acquire inside_it;
    import_all(part);
}

void play_part(const py::object& run, const Part& part, bool one_at_a_time) {
    const py::gil_scoped_acquire gil;
    run.attr("scheduler").attr("enter")(part.thread);
    try {
        if (one_at_a_time) {
            import_one_at_a_time(run, part);
        } else {
            import_all(part);
        }
    } catch (const py::error_already_set& error) {
        run.attr("leave")(part.thread, error.type().attr("__name__"), py::str(error.value()));
        throw;
    }
    run.attr("leave")(part.thread, "", "");
}

} // namespace

void play_row(Context& context, const std::string& row, const std::string& variant) {
    if (context.options().packages.empty()) {
        throw std::runtime_error("an import scenario needs --packages with the folder that holds import_cases");
    }
    const std::string folder = tree_folder(context.options());
    const Interpreter python(context);
    const py::object run = py::import_module("import_cases.case_run").attr("CaseRun")(row, variant, folder);
    const std::vector<Part> parts = parts_of(run);
    const bool one_at_a_time = py::cast<bool>(run.attr("variant").attr("one_at_a_time"));
    {
        const Monitor monitor(context.options(), run);
        std::vector<std::function<void()>> jobs;
        jobs.reserve(parts.size());
        for (const auto& part : parts) {
            jobs.emplace_back([&run, &part, one_at_a_time] { play_part(run, part, one_at_a_time); });
        }
        race(context, jobs);
    }
    context.value("finished", static_cast<long long>(py::cast<py::dict>(run.attr("errors")).size()));
    context.value("lost", py::cast<std::string>(run.attr("lost")));
    std::filesystem::remove_all(folder);
}

} // namespace python_tsan
