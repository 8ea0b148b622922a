#pragma once

/// Input and output of a scenario: options in; values, checks and errors out.

#include "harness/json.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace python_tsan {

/// The command line of `run`, as read by main.
struct Options {
    unsigned threads = 4;
    unsigned iterations = 200;
    std::string report;   // file to write, empty for none
    std::string packages; // folder put first on sys.path, empty for none
};

/// An exception that left a thread of the scenario. `type` is a Python class or a C++ type, fully named.
struct Error {
    std::string type;
    std::string text;
    std::string thread;
};

/// Collects the results of one scenario. Not thread-safe on purpose: a lock here would order the racing threads.
/// Use it from the scenario's main thread only; the racer adds the workers' errors after it has joined them.
class Context {
public:
    explicit Context(Options options) : options_(std::move(options)) {}

    const Options& options() const { return options_; }
    unsigned threads() const { return options_.threads; }
    unsigned iterations() const { return options_.iterations; }
    /// Increments that `threads` workers make together.
    long long total() const { return static_cast<long long>(options_.threads) * options_.iterations; }

    /// Report a value for the reader and for the expectation's `values`; it is not checked here.
    template <typename T>
    void value(const std::string& name, const T& actual) {
        values_.insert_or_assign(name, to_scalar(actual));
    }

    /// Report a value and make the scenario fail (exit code 1) unless it is the expected one.
    template <typename T>
    void check(const std::string& name, const T& actual, const T& expected) {
        value(name, actual);
        if (actual != expected) {
            value(name + "_expected", expected);
            wrong_.push_back(name);
        }
    }

    void add_error(Error error) { errors_.push_back(std::move(error)); }

    const std::map<std::string, Scalar>& values() const { return values_; }
    const std::vector<std::string>& wrong() const { return wrong_; }
    const std::vector<Error>& errors() const { return errors_; }

private:
    Options options_;
    std::map<std::string, Scalar> values_;
    std::vector<std::string> wrong_;
    std::vector<Error> errors_;
};

} // namespace python_tsan
