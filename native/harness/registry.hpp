#pragma once

/// The list of scenarios, which `--list=json` prints. Each registers itself once, with what it must show.

#include "harness/context.hpp"
#include "harness/json.hpp"

#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace python_tsan {

enum class Outcome { clean, race, hang, error, crash };

std::string_view name_of(Outcome outcome);

/// A race that ThreadSanitizer must report: on which global, in which function, by which two accesses.
struct ExpectedFinding {
    std::string kind;
    std::string location;
    std::string function;
    std::vector<std::string> accesses;
    bool several = false; // at least one; their number varies
};

/// What a scenario must show in one kind of build.
struct Expectation {
    Outcome outcome = Outcome::clean;
    std::vector<ExpectedFinding> findings{};
    std::string error{};
    std::string losing_thread{};
    std::vector<std::string> waits{};
    std::map<std::string, Scalar> values{};
};

/// A scenario and its expectation, described by chained calls that name each fact.
class Scenario {
public:
    using Body = void (*)(Context&);

    Scenario(std::string name, std::string group, std::string summary, std::string file, Body body)
        : name_(std::move(name)), group_(std::move(group)), summary_(std::move(summary)), file_(std::move(file)),
          body_(body) {}

    /// No finding, exit code 0, every checked value as expected.
    Scenario& clean() { return outcome(Outcome::clean); }
    /// Exactly one data race on the global `location`, both accesses in `function`, of these kinds (any if empty).
    /// Each further call adds one.
    Scenario& race(std::string location, std::string function, std::vector<std::string> accesses = {"read", "write"});
    /// Exactly one data race between two accesses inside CPython, which is known upstream.
    Scenario& defect(std::vector<std::string> accesses);
    /// The same, but the number of races varies.
    Scenario& defects(std::vector<std::string> accesses);
    /// Before CPython `version`, in the form of PY_VERSION_HEX, it ends clean; the other expectations hold from then
    /// on.
    Scenario& clean_before(unsigned long version);
    /// From CPython `version` on it ends clean, in both kinds of build; the values stay. It follows what it changes.
    Scenario& clean_from(unsigned long version);
    /// In a build without the GIL: such races, one for each pair of accesses.
    Scenario& defects_without_gil(std::vector<std::vector<std::string>> pairs);
    /// Still running after `seconds`, when the runner ends it.
    Scenario& hang(double seconds);
    /// The wait-for graph of the hang, one line for each thread that waits (see Waits), sorted by thread.
    Scenario& waits(std::vector<std::string> lines);
    /// A Python error whose text matches the regular expression `pattern`, in thread `losing_thread` (empty: any).
    Scenario& error(std::string pattern, std::string losing_thread);
    /// The process is ended by a signal, or the sanitizer reports one, and standard error matches the regular
    /// expression `pattern`.
    Scenario& crash(std::string pattern);
    /// The expectation depends on the Python version: row `id` of python_tsan/imports/outcomes.toml.
    Scenario& by_version(std::string id);

    /// In a build without the GIL: exactly one data race, as for race(), because a GIL guard does not lock there.
    Scenario& race_without_gil(std::string location, std::string function);
    /// In a build without the GIL it ends clean; the other expectations are for a build with one.
    Scenario& clean_without_gil();

    /// A value that must be reported, in any outcome. Belongs to the preceding expectation.
    template <typename T>
    Scenario& expect_value(const std::string& key, const T& expected) {
        auto& expectation = without_gil_ ? *without_gil_ : expect_;
        expectation.values.insert_or_assign(key, to_scalar(expected));
        return *this;
    }
    /// The scenario that differs in one line and has the opposite outcome.
    Scenario& twin(std::string name);
    /// A requirement: a package to import, "gil" for a build with the GIL, "free_threading" for one without.
    Scenario& needs(std::string what);
    /// Only for an instrumented interpreter (the default is both lanes).
    Scenario& full_lane_only();
    /// Seconds after which the runner treats the process as hung (default 60), on an idle machine.
    Scenario& deadline(double seconds);
    /// Runs per verify (default 1).
    Scenario& repeats(unsigned count);

    const std::string& name() const { return name_; }
    /// Whether the scenario may end with an error in a thread.
    bool may_raise() const { return expect_.outcome == Outcome::error || !case_.empty(); }
    void run(Context& context) const { body_(context); }
    void write(JsonWriter& json) const;

private:
    Scenario& outcome(Outcome outcome);

    std::string name_, group_, summary_, file_;
    Body body_;
    Expectation expect_;
    std::optional<Expectation> without_gil_;
    std::string case_, twin_;
    std::vector<std::string> lanes_{"fast", "full"};
    std::vector<std::string> needs_;
    double deadline_ = 60;
    unsigned repeats_ = 1;
};

/// All scenarios, sorted by name.
const std::vector<Scenario>& scenarios();

/// The scenario with this name, or nullptr.
const Scenario* find_scenario(std::string_view name);

void write_list(std::ostream& out);

/// Adds a scenario before main starts.
struct Registration {
    explicit Registration(Scenario scenario);
};

} // namespace python_tsan

/// Define a scenario: `SCENARIO(name, "group", "summary", .clean().twin("other")) { body using context }`.
/// The name is defined only here. The expectation precedes the body, so that it is read first.
#define SCENARIO(NAME, GROUP, SUMMARY, ...)                                                                            \
    static void NAME(::python_tsan::Context& context);                                                                 \
    static const ::python_tsan::Registration registration_of_##NAME(                                                   \
        ::python_tsan::Scenario(#NAME, GROUP, SUMMARY, __FILE__, &NAME) __VA_ARGS__);                                  \
    static void NAME([[maybe_unused]] ::python_tsan::Context& context)
