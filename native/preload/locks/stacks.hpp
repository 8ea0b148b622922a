// Native stacks as rows that refer to their callers' rows.

#pragma once

#include "format.hpp"
#include "objects.hpp"

namespace lock_recorder {

/// Where a hooked function was called: its return address, its caller's stack pointer and frame pointer.
struct Site {
    std::uint64_t pc;
    std::uint64_t sp;
    std::uint64_t fp;
    std::uint64_t where; // what differs between calls of Python code, which come from one place of the interpreter

    /// Of the call.
    std::uint64_t key() const { return pc + where; }
};

/// Find the sanitizer's runtime, whose interceptors then call the hooks. Before any thread exists.
void find_runtime();

/// Whether a sanitizer's runtime is in the process, which implements some functions itself.
bool has_runtime();

/// Whether it is a library, and no part of the program.
bool has_shared_runtime();

/// Whether the address belongs to that runtime.
bool in_runtime(std::uint64_t pc);

/// The addresses of that runtime, both 0 without one.
extern Span runtime;

/// The call that the program made, of one that the runtime's interceptor made.
Site site_above(const Site& site);
inline Site program_site(const Site& site) {
    return runtime.last == 0 ? site : site_above(site);
}

/// Whether one of the innermost frames is of an object that exports a function.
bool is_called_by(const Site& site, const char* exports);

bool stacks_prepare();
void stacks_forget();

/// The row of the calling thread's frames from `site` on, at most `limit`; 0 if it does not fit. Callers exclude each
/// other.
std::uint32_t intern_native_stack(const Site& site, int limit);

/// The row of one return address. Callers exclude each other.
std::uint32_t intern_call_site(std::uint64_t pc);

/// A number that differs between two stacks that lead to one site, as a rule: what costs little to find out.
/// `top` is the highest address of the stack that may be read.
std::uint64_t stack_key(const Site& site, std::uint64_t top);

/// Whether the address belongs to the unwinder, whose locks a hook must not unwind under: where a JIT compiler has
/// registered frames, libgcc up to GCC 12 takes a mutex to find any frame.
bool in_unwinder(std::uint64_t pc);

} // namespace lock_recorder
