// Whether this process has a Python that can be traced.

#pragma once

namespace gil_tracer {

/// Whether events are recorded. The first call in a process looks for a Python; one may be loaded after the start.
bool tracing();

} // namespace gil_tracer
