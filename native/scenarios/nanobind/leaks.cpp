// Objects that outlive the interpreter. nanobind counts the objects of its classes and reports leaks on standard error;
// without a GIL it does not count.
// https://nanobind.readthedocs.io/en/latest/refleaks.html

#include "harness/scenario.hpp"

#include <cstdio>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace python_tsan {

/// Captures standard error during its lifetime, and writes it to the real one in its destructor.
class StandardError {
public:
    StandardError() : real_(dup(STDERR_FILENO)), kept_(std::tmpfile()) {
        if (real_ < 0 || kept_ == nullptr || dup2(fileno(kept_), STDERR_FILENO) < 0) {
            throw std::runtime_error("standard error cannot be captured");
        }
    }
    ~StandardError() {
        const std::string all = text();
        dup2(real_, STDERR_FILENO);
        close(real_);
        std::fclose(kept_);
        std::fputs(all.c_str(), stderr);
    }
    StandardError(const StandardError&) = delete;
    StandardError& operator=(const StandardError&) = delete;

    std::string text() const {
        std::fflush(stderr);
        std::rewind(kept_);
        std::string all;
        for (int c = std::fgetc(kept_); c != EOF; c = std::fgetc(kept_)) {
            all.push_back(static_cast<char>(c));
        }
        return all;
    }

private:
    int real_;
    std::FILE* kept_;
};

class Ticket {};

/// Start the interpreter, make a ticket in each thread, keep `kept` of them, and report how many leaks nanobind
/// reports.
static void end_with_tickets(Context& context, unsigned kept) {
    const StandardError standard_error;
    {
        const Interpreter python(context);
        const py::object type = py::class_<Ticket>(py::import_module("__main__"), "Ticket").def(py::init<>());
        race(context, [&](unsigned thread) {
            const py::gil_scoped_acquire attached;
            py::object ticket = type();
            if (thread < kept) {
                ticket.release();
            }
        });
    }
    const std::string said = standard_error.text();
    const std::string before = "nanobind: leaked ";
    const auto found = said.find(before);
    context.value("leaked", found == std::string::npos ? 0LL : std::stoll(said.substr(found + before.size())));
}

SCENARIO(
    nanobind_leak,
    "nanobind",
    "Two objects of a bound class outlive the interpreter: with a GIL, nanobind reports how many.",
    .clean().expect_value("leaked", 2LL).clean_without_gil().expect_value("leaked", 0LL).twin("nanobind_no_leak")) {
    end_with_tickets(context, 2);
}

SCENARIO(nanobind_no_leak,
         "nanobind",
         "The same objects, each released before the interpreter ends: nanobind reports no leak.",
         .clean().expect_value("leaked", 0LL).twin("nanobind_leak")) {
    end_with_tickets(context, 0);
}

} // namespace python_tsan
