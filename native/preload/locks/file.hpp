// The mapped file of this process. It is made by the first event, and again in a child of fork.

#pragma once

#include "../common/raw.hpp"
#include "format.hpp"

namespace lock_recorder {

/// The file, null before it is made. Set once in a process.
extern Header* header;

/// A variable of the environment, null without it.
const char* variable(const char* name);

/// Only waits with the GIL held are recorded: for the GIL tracer.
extern bool only_waits;

/// Remember the folder that the environment names. False if no recording is requested.
bool file_requested();

/// Take what was preloaded for this program alone out of LD_PRELOAD, so that what it starts has the recorder alone.
/// False if the recorder is alone here.
bool file_unload();

/// Start this program again, before it has begun, with all that is preloaded for it. Returns if that fails.
void file_load_again(char** words);

/// Make the file, once. False if that failed; a note then says why.
bool file_make();

/// In a child of fork: forget the parent's file.
void file_forget();

/// Append a line to the list of processes in the folder.
void file_note(const char* what, const char* detail = nullptr);

template <typename Row>
Row* rows(Part part) {
    return reinterpret_cast<Row*>(reinterpret_cast<char*>(header) +
                                  header->parts[static_cast<std::size_t>(part)].offset);
}

/// Space for `bytes` more bytes of a part, zeroed; null if it is full or the disk is. Callers exclude each other.
void* file_claim(Part part, std::uint64_t bytes);

/// Publish what was claimed.
void file_publish(Part part, std::uint64_t bytes);

void count_lost(Lost what);

/// Append a row; its number, or 0 if it does not fit. Callers exclude each other.
template <typename Row>
std::uint32_t append(Part part, const Row& row) {
    auto* place = static_cast<Row*>(file_claim(part, sizeof row));
    if (place == nullptr) {
        return 0;
    }
    copy_bytes(place, &row, sizeof row);
    const auto number = static_cast<std::uint32_t>(place - rows<Row>(part));
    file_publish(part, sizeof row);
    return number;
}

/// The text of the path of an open file, 0 if unknown. Callers exclude each other.
std::uint32_t intern_path(std::uint64_t descriptor);

/// The number of a text, each stored once. Callers exclude each other.
std::uint32_t intern_text(const char* text, std::size_t length);

} // namespace lock_recorder
