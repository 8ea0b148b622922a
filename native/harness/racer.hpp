#pragma once

/// Threads that start their work at the same time, without a happens-before order.

#include "harness/context.hpp"

#include <functional>
#include <vector>

namespace python_tsan {

/// Run each job in its own thread, named T1, T2, …; all wait for each other at a TSan-invisible barrier and then begin.
/// Returns when all have ended. If the calling thread holds the GIL, it releases it meanwhile. The jobs start without
/// the GIL. Exceptions of jobs are added to the context in the order of the threads' names.
void race(Context& context, const std::vector<std::function<void()>>& jobs);

/// The same with context.threads() copies of one job, which is given its index (0 for T1).
void race(Context& context, const std::function<void(unsigned)>& job);

/// Run each job in its own thread, sequentially: T1 ends its job before T2 begins. The order comes from the invisible
/// barrier, so that the jobs are unordered for TSan and it finds a race between them in every run.
void take_turns(Context& context, const std::vector<std::function<void()>>& jobs);

/// The same with threads that have a thread state from before the first turn until after the last. They start their
/// jobs without the GIL, but need no new thread state to take it: creating and deleting one takes a lock of CPython,
/// which would order the turns. A job must not throw: the others would wait forever for the end of its turn.
void take_turns_known(Context& context, const std::vector<std::function<void()>>& jobs);

/// Run `job`, which takes the GIL itself, in several threads and return how often it ran in total. With a GIL,
/// context.threads() run it context.iterations() times each, in parallel. Without one they would race only by chance,
/// so two threads take turns and run it once each, which shows a race once.
long long race_guarded(Context& context, const std::function<void()>& job);

/// Describe the exception being handled, with its Python or C++ type. Call it inside a catch block.
Error current_error(const std::string& thread);

} // namespace python_tsan
