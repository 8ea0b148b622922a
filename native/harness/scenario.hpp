#pragma once

/// Everything that the file of a scenario needs.

#include "harness/context.hpp"
#include "harness/gil.hpp"
#include "harness/interpreter.hpp"
#include "harness/racer.hpp"
#include "harness/registry.hpp"
#include "harness/waits.hpp"

#include <binding.hpp>
#include <python_tsan/barrier.hpp>

/// Keeps a function's frame in stack traces, in which the expectation names it.
#define PYTHON_TSAN_NOINLINE __attribute__((noinline))

namespace python_tsan {

/// Call this between a read and a write of one variable that findings must distinguish. Clang's pass omits a read that
/// is followed by a write to the same address without a call between, and would then report two writes.
inline void keep_apart() {
    asm volatile("" ::: "memory");
}

} // namespace python_tsan
