#pragma once

/// Plays a row of the import table with C++ threads. The row's packages, schedule and variants are Python data in the
/// package import_cases, found in the folder given by --packages; the threads, and every import of theirs, are C++.

#include "harness/context.hpp"

#include <string>

namespace python_tsan {

/// Play `variant` of `row`: each thread of the row takes the GIL, enters the stage under its name (T1, T2, …), imports
/// what the row says through the C API, and leaves. Where the variant wants one import at a time, each thread lets go
/// of the GIL, takes a std::mutex, and takes the GIL again inside it. An exception that leaves an import becomes an
/// error of the context. In a hang, what each thread waits for is written to waits.txt beside the report. Reports
/// `finished`, the number of threads that ended, and `lost`, the names of those that ended in an exception.
void play_row(Context& context, const std::string& row, const std::string& variant);

} // namespace python_tsan
