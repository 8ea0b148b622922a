// Whether this process has a Python that can be traced.

#pragma once

namespace gil_tracer {

/// Whether events are recorded. The first call in a process searches for a Python, which may be loaded after start-up.
bool tracing();

} // namespace gil_tracer
