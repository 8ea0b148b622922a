// A hash table of row numbers that grows: a small one touches few pages, of which each costs a page fault.

#pragma once

#include "raw.hpp"

namespace preload {

/// Two small numbers, such as those of rows, have another result than any other two: callers may compare that alone.
constexpr std::uint64_t mix(std::uint64_t seed, std::uint64_t value) {
    const auto mixed = (seed * 0xBF58476D1CE4E5B9U + value) * 0x9E3779B97F4A7C15U;
    return mixed ^ (mixed >> 32);
}

class Table {
public:
    /// False without memory; the table then finds nothing.
    bool prepare() {
        used_ = 0;
        return resize(first_slots);
    }

    void release() {
        if (slots_ != nullptr) {
            raw_release(slots_, (mask_ + 1) * sizeof *slots_);
            slots_ = nullptr;
        }
    }

    /// The row for which `matches(row)` is true, else the result of `make()`, which is stored unless it is 0.
    template <typename Matches, typename Make>
    std::uint32_t find_or_make(std::uint64_t hash, Matches matches, Make make) {
        if (slots_ == nullptr) {
            return 0;
        }
        const auto tag = static_cast<std::uint32_t>(hash ^ (hash >> 32));
        for (auto at = tag & mask_; slots_[at].row != 0; at = (at + 1) & mask_) {
            if (slots_[at].tag == tag && matches(slots_[at].row)) {
                return slots_[at].row;
            }
        }
        if (used_ > mask_ / 2 && !resize(2 * (mask_ + 1)) && used_ == mask_) {
            return 0; // no memory, and the last slot ends each search
        }
        const std::uint32_t row = make();
        if (row != 0) {
            put(Slot{tag, row});
            ++used_;
        }
        return row;
    }

private:
    struct Slot {
        std::uint32_t tag;
        std::uint32_t row; // 0 for an empty one
    };
    static constexpr std::uint64_t first_slots = 512;

    void put(Slot slot) {
        auto at = slot.tag & mask_;
        while (slots_[at].row != 0) {
            at = (at + 1) & mask_;
        }
        slots_[at] = slot;
    }

    bool resize(std::uint64_t count) {
        auto* made = static_cast<Slot*>(raw_memory(count * sizeof(Slot)));
        if (made == nullptr) {
            return false;
        }
        auto* const old = slots_;
        const auto old_count = old == nullptr ? 0 : mask_ + 1;
        slots_ = made;
        mask_ = count - 1;
        for (std::uint64_t i = 0; i < old_count; ++i) {
            if (old[i].row != 0) {
                put(old[i]);
            }
        }
        if (old != nullptr) {
            raw_release(old, old_count * sizeof(Slot));
        }
        return true;
    }

    Slot* slots_ = nullptr;
    std::uint64_t mask_ = 0;
    std::uint64_t used_ = 0;
};

} // namespace preload
