// A hash table of row numbers with a fixed size, in memory that the kernel allocates on use.

#pragma once

#include <cstdint>
#include <sys/mman.h>

namespace gil_tracer {

class Table {
public:
    /// Allocate space for `rows` rows. Without memory the table stays empty and finds nothing.
    void reserve(std::uint64_t rows) {
        std::uint64_t slots = 1024;
        while (slots < rows * 3 / 2) {
            slots *= 2;
        }
        void* memory = mmap(nullptr, slots * sizeof *slots_, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        slots_ = memory == MAP_FAILED ? nullptr : static_cast<std::uint32_t*>(memory);
        mask_ = slots - 1;
    }

    void release() {
        if (slots_ != nullptr) {
            munmap(slots_, (mask_ + 1) * sizeof *slots_);
            slots_ = nullptr;
        }
    }

    /// The row for which `matches(row)` is true, else the result of `make()`, which is stored unless it is 0. There
    /// are more slots than rows, so that the search ends.
    template <typename Matches, typename Make>
    std::uint32_t find_or_make(std::uint64_t hash, Matches matches, Make make) {
        if (slots_ == nullptr) {
            return 0;
        }
        auto slot = (hash ^ (hash >> 29)) & mask_;
        for (; slots_[slot] != 0; slot = (slot + 1) & mask_) {
            if (matches(slots_[slot])) {
                return slots_[slot];
            }
        }
        const std::uint32_t row = make();
        if (row != 0) {
            slots_[slot] = row;
        }
        return row;
    }

private:
    std::uint32_t* slots_ = nullptr;
    std::uint64_t mask_ = 0;
};

constexpr std::uint64_t mix(std::uint64_t seed, std::uint64_t value) {
    const auto mixed = (seed ^ value) * 0x9E3779B97F4A7C15U;
    return mixed ^ (mixed >> 32);
}

} // namespace gil_tracer
