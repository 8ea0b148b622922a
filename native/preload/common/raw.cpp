#include "raw.hpp"

#include <sys/mman.h>
#include <time.h>

namespace preload {

namespace {

constexpr int spins = 1 << 8;

} // namespace

void* raw_memory(std::uint64_t bytes) {
    const long result = raw_call(SYS_mmap, 0, static_cast<long>(bytes), PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return result < 0 && result > -4096 ? nullptr : reinterpret_cast<void*>(result);
}

void raw_release(void* memory, std::uint64_t bytes) {
    raw_call(SYS_munmap, as_long(memory), static_cast<long>(bytes));
}

std::uint64_t raw_monotonic() {
    timespec now{};
    raw_call(SYS_clock_gettime, CLOCK_MONOTONIC, as_long(&now));
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint32_t raw_thread_id() {
    return static_cast<std::uint32_t>(raw_call(SYS_gettid));
}

void Latch::lock() {
    for (int tries = 0; busy_.exchange(true, std::memory_order_acquire); ++tries) {
        if (tries >= spins) {
            raw_call(SYS_sched_yield);
        }
    }
}

} // namespace preload
