#pragma once

/// Runs a row of the import table with C++ threads. The row's packages, schedule and variants are Python data in the
/// package import_cases, in the folder given by --packages; the threads and their imports are C++.

#include "harness/context.hpp"

#include <string>

namespace python_tsan {

/// Run `variant` of `row`: each thread of the row takes the GIL, registers under its name (T1, T2, …), imports the
/// row's modules through the C API, and ends. If the variant allows one import at a time, each thread releases the GIL,
/// locks a std::mutex, and takes the GIL again. An exception of an import is added to the context's errors. In a hang,
/// what each thread waits for is written to waits.txt next to the report. Reports `finished`, the number of threads
/// that ended, and `lost`, the names of those that ended with an exception.
void play_row(Context& context, const std::string& row, const std::string& variant);

} // namespace python_tsan
