#pragma once

/// The result file of one scenario.

#include "harness/context.hpp"

#include <string>

namespace python_tsan {

/// Write values, wrong values and errors as one JSON object; the file is complete or does not exist.
/// Throws std::runtime_error when it cannot be written.
void write_report(const std::string& path, const std::string& scenario, const Context& context);

} // namespace python_tsan
