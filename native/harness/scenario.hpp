#pragma once

/// Everything that a scenario's file includes.

#include "harness/context.hpp"
#include "harness/gil.hpp"
#include "harness/interpreter.hpp"
#include "harness/racer.hpp"
#include "harness/registry.hpp"
#include "harness/waits.hpp"

#include <binding.hpp>
#include <python_tsan/barrier.hpp>

/// Keeps a function's frame in stack traces, where the expectation looks for it by name.
#define PYTHON_TSAN_NOINLINE __attribute__((noinline))

namespace python_tsan {

/// Put this between a read and a write of one variable that reports shall name apart. Clang's pass leaves out a read
/// that is followed by a write to the same place with no call in between, and would then name two writes.
inline void keep_apart() {
    asm volatile("" ::: "memory");
}

} // namespace python_tsan
