// The GIL's mutex, which reveals releases and acquisitions without an interceptable call.
//
// The interpreter's own ones (a switch forced by the eval breaker, the end of a thread) lock the mutex once, as every
// release and acquisition does. It is the first mutex that libpython locks inside PyEval_SaveThread.

#pragma once

namespace gil_tracer {

/// Intercept calls of the mutex functions in the library that contains `function`: libpython. False if that fails.
bool watch_gil_mutex(const void* function);

} // namespace gil_tracer
