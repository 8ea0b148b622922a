// The code that stands between a caller and a function: it keeps every register that a call passes arguments in.

#pragma once

#include <cstdint>

namespace lock_recorder {

constexpr std::uint32_t most_stubs = 4096; // of each kind

/// Where each stub goes on.
extern "C" __attribute__((visibility("hidden"))) void* python_tsan_capi_targets[3 * most_stubs];

/// The address of a stub. A quiet one calls `python_tsan_capi_called` only if the thread holds no GIL or keeps a
/// borrowed reference; the others, whose numbers are `most_stubs` and more, always. Those from `2 * most_stubs` on are
/// what quiet ones can be led to.
void* capi_stub(std::uint32_t number);

/// Called by a stub, with the return address, stack pointer and frame pointer of the caller, and what the call passes
/// in the first `register_arguments` registers for arguments.
constexpr int register_arguments = 6;
extern "C" __attribute__((visibility("hidden"))) void python_tsan_capi_called(
    std::uint32_t number, std::uint64_t pc, std::uint64_t sp, std::uint64_t fp, const std::uint64_t* arguments);

} // namespace lock_recorder
