#include "harness/registry.hpp"

#include <algorithm>
#include <patchlevel.h> // PY_VERSION_HEX, and nothing else of Python
#include <stdexcept>

namespace python_tsan {

namespace {

/// A static variable of a function, because scenarios register before other files' globals are initialized.
std::vector<Scenario>& storage() {
    static std::vector<Scenario> all;
    return all;
}

void write_expectation(JsonWriter& json, const Expectation& expectation) {
    json.begin_object().member("outcome", name_of(expectation.outcome));
    json.key("findings").begin_array();
    for (const auto& finding : expectation.findings) {
        json.begin_object()
            .member("kind", finding.kind)
            .member("location", finding.location)
            .member("function", finding.function)
            .member("accesses", finding.accesses)
            .member("several", finding.several)
            .end_object();
    }
    json.end_array().member("error", expectation.error).member("losing_thread", expectation.losing_thread);
    json.member("waits", expectation.waits);
    json.key("values").begin_object();
    for (const auto& [key, expected] : expectation.values) {
        json.member(key, expected);
    }
    json.end_object().end_object();
}

} // namespace

std::string_view name_of(Outcome outcome) {
    switch (outcome) {
    case Outcome::clean:
        return "clean";
    case Outcome::race:
        return "race";
    case Outcome::hang:
        return "hang";
    case Outcome::error:
        return "error";
    case Outcome::crash:
        return "crash";
    }
    throw std::logic_error("an outcome has no name");
}

Scenario& Scenario::outcome(Outcome outcome) {
    expect_.outcome = outcome;
    return *this;
}

Scenario& Scenario::race(std::string location, std::string function, std::vector<std::string> accesses) {
    expect_.findings.push_back({"data race", std::move(location), std::move(function), std::move(accesses)});
    return outcome(Outcome::race);
}

Scenario& Scenario::defect(std::vector<std::string> accesses) {
    expect_.findings.push_back({"data race", "", "", std::move(accesses)});
    return outcome(Outcome::race);
}

Scenario& Scenario::defects(std::vector<std::string> accesses) {
    expect_.findings.push_back({"data race", "", "", std::move(accesses), true});
    return outcome(Outcome::race);
}

Scenario& Scenario::clean_before(unsigned long version) {
    if (PY_VERSION_HEX < version) {
        expect_ = Expectation{};
    }
    return *this;
}

Scenario& Scenario::clean_from(unsigned long version) {
    if (PY_VERSION_HEX < version) {
        return *this;
    }
    for (Expectation* each : {&expect_, without_gil_ ? &*without_gil_ : nullptr}) {
        if (each != nullptr) {
            *each = Expectation{Outcome::clean, {}, {}, {}, {}, std::move(each->values)};
        }
    }
    return *this;
}

Scenario& Scenario::defects_without_gil(std::vector<std::vector<std::string>> pairs) {
    without_gil_ = Expectation{Outcome::race};
    for (auto& accesses : pairs) {
        without_gil_->findings.push_back({"data race", "", "", std::move(accesses)});
    }
    return *this;
}

Scenario& Scenario::hang(double seconds) {
    return outcome(Outcome::hang).deadline(seconds);
}

Scenario& Scenario::waits(std::vector<std::string> lines) {
    expect_.waits = std::move(lines);
    return *this;
}

Scenario& Scenario::error(std::string pattern, std::string losing_thread) {
    expect_.error = std::move(pattern);
    expect_.losing_thread = std::move(losing_thread);
    return outcome(Outcome::error);
}

Scenario& Scenario::crash(std::string pattern) {
    expect_.error = std::move(pattern);
    return outcome(Outcome::crash);
}

Scenario& Scenario::race_without_gil(std::string location, std::string function) {
    without_gil_ =
        Expectation{Outcome::race, {{"data race", std::move(location), std::move(function), {"read", "write"}}}};
    return *this;
}

Scenario& Scenario::clean_without_gil() {
    without_gil_ = Expectation{};
    return *this;
}

Scenario& Scenario::by_version(std::string id) {
    case_ = std::move(id);
    return *this;
}

Scenario& Scenario::twin(std::string name) {
    twin_ = std::move(name);
    return *this;
}

Scenario& Scenario::needs(std::string what) {
    needs_.push_back(std::move(what));
    return *this;
}

Scenario& Scenario::full_lane_only() {
    lanes_ = {"full"};
    return *this;
}

Scenario& Scenario::deadline(double seconds) {
    deadline_ = seconds;
    return *this;
}

Scenario& Scenario::repeats(unsigned count) {
    repeats_ = count;
    return *this;
}

void Scenario::write(JsonWriter& json) const {
    json.begin_object()
        .member("name", name_)
        .member("group", group_)
        .member("summary", summary_)
        .member("file", file_)
        .member("lanes", lanes_)
        .member("needs", needs_)
        .member("deadline_seconds", deadline_)
        .member("repeats", repeats_)
        .member("twin", twin_)
        .member("case", case_);
    json.key("expect");
    write_expectation(json, expect_);
    json.key("expect_free_threaded");
    if (without_gil_) {
        write_expectation(json, *without_gil_);
    } else {
        json.null();
    }
    json.end_object();
}

const std::vector<Scenario>& scenarios() {
    return storage();
}

const Scenario* find_scenario(std::string_view name) {
    const auto& all = scenarios();
    const auto found = std::find_if(all.begin(), all.end(), [&](const Scenario& one) { return one.name() == name; });
    return found == all.end() ? nullptr : &*found;
}

void write_list(std::ostream& out) {
    JsonWriter json(out);
    json.begin_array();
    for (const auto& scenario : scenarios()) {
        scenario.write(json);
    }
    json.end_array();
    out << '\n';
}

Registration::Registration(Scenario scenario) {
    auto& all = storage();
    const auto place = std::lower_bound(all.begin(), all.end(), scenario,
                                        [](const Scenario& a, const Scenario& b) { return a.name() < b.name(); });
    if (place != all.end() && place->name() == scenario.name()) {
        throw std::logic_error("two scenarios are named " + scenario.name());
    }
    all.insert(place, std::move(scenario));
}

} // namespace python_tsan
