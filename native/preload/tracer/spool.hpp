// The mapped file of this process: its path, its regions, and its chunks.

#pragma once

#include "format.hpp"

namespace gil_tracer {

/// Read the settings from the environment. False: this process is not to be traced.
bool spool_requested();

/// Write a note about this process for the reader: `what` and this program's path, or `detail` if it is not null.
void spool_note(const char* what, const char* detail = nullptr);

/// The header of this process's file, created at the first call; null if that failed, of which there is a note. Any
/// thread.
Header* spool();

/// Discard the file, in a child of fork: the next call of spool() creates the child's own.
void spool_forget();

/// A chunk for the calling thread: a free one, else the oldest that no thread fills, else null. Lock-free.
Chunk* spool_chunk(Header* header);

/// Ensure that a region's first `bytes` bytes can be written. False if the disk is full.
bool claim(Header* header, const Region& region, std::uint64_t bytes);

/// A region as rows.
template <typename Row>
Row* rows(Header* header, const Region& region) {
    return reinterpret_cast<Row*>(reinterpret_cast<char*>(header) + region.offset);
}

/// Append a row and return its index, or 0 if the region is full: index 0 is never used. Callers must exclude each
/// other.
template <typename Row>
std::uint32_t append(Header* header, Region& region, const Row& row) {
    const auto used = region.used.load(std::memory_order_relaxed);
    if (used + sizeof(Row) > region.bytes || !claim(header, region, used + sizeof(Row))) {
        return 0;
    }
    const auto index = used / sizeof(Row);
    rows<Row>(header, region)[index] = row;
    region.used.store(used + sizeof(Row), std::memory_order_release);
    return static_cast<std::uint32_t>(index);
}

std::uint64_t monotonic();

} // namespace gil_tracer
