#pragma once

/// Threads that start their work at the same moment, unordered in ThreadSanitizer's eyes.

#include "harness/context.hpp"

#include <functional>
#include <vector>

namespace python_tsan {

/// Run each job in a thread of its own, named T1, T2, …; all wait for each other at a TSan-invisible barrier and then
/// begin. Returns when all have ended. If the calling thread holds the GIL, it lets go of it meanwhile. The jobs start
/// without the GIL. Exceptions that leave a job are added to the context in the order of the threads' names.
void race(Context& context, const std::vector<std::function<void()>>& jobs);

/// The same with context.threads() copies of one job, which is given its index (0 for T1).
void race(Context& context, const std::function<void(unsigned)>& job);

/// Run each job in a thread of its own, one after the other: T1 ends its job before T2 begins. The order is kept by the
/// invisible barrier, so TSan takes the jobs for unordered and finds a race between them in every run.
void take_turns(Context& context, const std::vector<std::function<void()>>& jobs);

/// The same with threads that Python knows before the first turn and after the last. They start their jobs without the
/// GIL, but to take it needs no new thread state then; making and deleting one takes a lock of CPython's, which would
/// order the turns. A job must not throw: the others still wait for its turn to be over.
void take_turns_known(Context& context, const std::vector<std::function<void()>>& jobs);

/// Run `job`, which takes the GIL for itself, from several threads and return how often it ran in all. With a GIL,
/// context.threads() run it context.iterations() times each, all at once. Without one they would meet by chance only,
/// so there two threads take turns and run it once each, which shows a race once.
long long race_guarded(Context& context, const std::function<void()>& job);

/// Describe the exception being handled, with its Python or C++ type. Call it inside a catch block.
Error current_error(const std::string& thread);

} // namespace python_tsan
