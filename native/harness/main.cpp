/// The command line: `--list=json`, `run NAME [options]`. Exit code 0: the scenario's own checks passed; 1: a value was
/// wrong or an unexpected exception was thrown; 2: bad usage, with the list of scenarios.

#include "harness/context.hpp"
#include "harness/racer.hpp"
#include "harness/registry.hpp"
#include "harness/report.hpp"
#include "harness/stacks.hpp"

#include <python_tsan/barrier.hpp>

#include <charconv>
#include <cstring>
#include <iostream>
#include <pthread.h>
#include <stdexcept>

namespace python_tsan {

namespace {

constexpr int exit_fine = 0;
constexpr int exit_wrong = 1;
constexpr int exit_usage = 2;

struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

unsigned positive(const std::string& option, const std::string& text, unsigned most) {
    unsigned value = 0;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end || value == 0 || value > most) {
        throw UsageError(option + " must be a whole number from 1 to " + std::to_string(most) + ", not '" + text + "'");
    }
    return value;
}

Options read_options(const std::vector<std::string>& arguments) {
    Options options;
    for (std::size_t at = 0; at < arguments.size(); at += 2) {
        const std::string& option = arguments[at];
        if (at + 1 == arguments.size()) {
            throw UsageError(option + " needs a value");
        }
        const std::string& value = arguments[at + 1];
        if (option == "--report") {
            options.report = value;
        } else if (option == "--packages") {
            options.packages = value;
        } else if (option == "--threads") {
            options.threads = positive(option, value, Barrier::max_count);
        } else if (option == "--iterations") {
            options.iterations = positive(option, value, 1'000'000'000);
        } else {
            throw UsageError("unknown option '" + option + "'");
        }
    }
    return options;
}

int run(const std::string& name, const Options& options) {
    const Scenario* scenario = find_scenario(name);
    if (scenario == nullptr) {
        throw UsageError("unknown scenario '" + name + "'");
    }
    note_thread(pthread_self(), "main");
    Context context(options);
    try {
        scenario->run(context);
    } catch (...) {
        context.add_error(current_error("main"));
    }
    if (!options.report.empty()) {
        write_report(options.report, name, context);
    }
    for (const auto& wrong : context.wrong()) {
        std::cerr << name << ": wrong value: " << wrong << '\n';
    }
    for (const auto& error : context.errors()) {
        std::cerr << name << ": " << error.thread << ": " << error.type << ": " << error.text << '\n';
    }
    const bool surprised = !context.errors().empty() && !scenario->may_raise();
    return context.wrong().empty() && !surprised ? exit_fine : exit_wrong;
}

int dispatch(const std::vector<std::string>& arguments) {
    if (arguments.size() == 1 && arguments[0] == "--list=json") {
        write_list(std::cout);
        return exit_fine;
    }
    if (arguments.size() < 2 || arguments[0] != "run") {
        throw UsageError("a command is missing: --list=json or run");
    }
    return run(arguments[1], read_options({arguments.begin() + 2, arguments.end()}));
}

int complain(const UsageError& error) {
    std::cerr
        << "python_tsan_harness: " << error.what() << "\n\n"
        << "usage: python_tsan_harness --list=json\n"
        << "       python_tsan_harness run NAME [--report FILE] [--threads N] [--iterations N] [--packages DIR]\n\n"
        << "scenarios:\n";
    for (const auto& scenario : scenarios()) {
        std::cerr << "  " << scenario.name() << '\n';
    }
    return exit_usage;
}

} // namespace

} // namespace python_tsan

int main(int count, char** values) {
    try {
        return python_tsan::dispatch({values + 1, values + count});
    } catch (const python_tsan::UsageError& error) {
        return python_tsan::complain(error);
    } catch (const std::exception& error) {
        std::cerr << "python_tsan_harness: " << error.what() << '\n';
        return python_tsan::exit_wrong;
    }
}
