// The GIL's own mutex, by which releases and acquisitions are known that are no call that can be seen.
//
// What the interpreter does by itself (the eval breaker making a thread give way, a thread that ends) locks the mutex
// once, as every drop and every take does. The first mutex that libpython locks inside PyEval_SaveThread is that one.

#pragma once

namespace gil_tracer {

/// Watch the calls of the mutex functions by whatever holds `function`: libpython. False where they cannot be watched.
bool watch_gil_mutex(const void* function);

} // namespace gil_tracer
