#include "frames.hpp"

namespace preload {

namespace {

/// Positions of the table's numbers, which follow three words: cookie, version, free-threaded. Their order is that of
/// https://github.com/python/cpython/blob/3.13/Include/internal/pycore_runtime.h and, from 3.14 on, of
/// https://github.com/python/cpython/blob/3.14/Include/internal/pycore_debug_offsets.h. A version that is not listed
/// has no order that could be trusted.
constexpr int order_3_13[] = {20, 26, 27, 28, 29, 30, 32, 34, 36, 35, 40, 62, 63, 66, 67};
constexpr int order_3_14[] = {23, 29, 30, 31, 32, 33, 37, 39, 41, 40, 45, 72, 73, 76, 77};
constexpr int order_3_15[] = {23, 37, 38, 39, 40, 41, 45, 47, 49, 48, 53, 84, 85, 88, 89};

/// The offsets themselves, from the headers of these releases (pycore_frame.h, code.h, unicodeobject.h), for 64 bits.
constexpr std::uint64_t offsets_3_11[] = {8, 48, 32, 56, 72, 69, 112, 128, 72, 136, 184, 16, 32, 16, 48};
constexpr std::uint64_t offsets_3_12[] = {0, 8, 0, 56, 72, 70, 112, 128, 68, 136, 192, 16, 32, 16, 40};
constexpr std::uint64_t c_frame_of_thread = 56; // PyThreadState.cframe

const int* order_of(std::uint32_t version) {
    switch (version >> 16) {
    case 0x030D:
        return order_3_13;
    case 0x030E:
        return order_3_14;
    case 0x030F:
        return order_3_15;
    default:
        return nullptr;
    }
}

unsigned read_varint(const unsigned char*& cursor) {
    unsigned value = 0, shift = 0, byte;
    do {
        byte = *cursor++;
        value |= (byte & 63U) << shift;
        shift += 6;
    } while ((byte & 64U) != 0 && shift < 30);
    return value;
}

/// The line of a code unit by a location table (Objects/locations.md of CPython: entries of a first byte 1kkkklll, kind
/// and length - 1).
std::int32_t
line_at(const unsigned char* cursor, const unsigned char* end, std::uint64_t wanted, std::int32_t first_line) {
    auto line = first_line;
    std::uint64_t at = 0;
    while (cursor < end) {
        const unsigned kind = *cursor >> 3 & 15U, length = (*cursor & 7U) + 1;
        const auto* entry = cursor + 1;
        if (kind == 13 || kind == 14) { // no column; long form
            const auto value = read_varint(entry);
            line += (value & 1U) != 0 ? -static_cast<std::int32_t>(value >> 1) : static_cast<std::int32_t>(value >> 1);
        } else if (kind >= 10 && kind <= 12) { // one line form, whose kind is the difference
            line += static_cast<std::int32_t>(kind) - 10;
        }
        if (wanted >= at && wanted < at + length) {
            return kind == 15 ? 0 : line;
        }
        at += length;
        do { // only the first byte of an entry has the highest bit
            ++cursor;
        } while (cursor < end && (*cursor & 128U) == 0);
    }
    return 0;
}

} // namespace

bool FrameTable::load(const void* runtime, std::uint32_t version) {
    const int* order = order_of(version);
    constexpr char cookie[] = "xdebugpy";
    for (int i = 0; i < 8 && order != nullptr; ++i) {
        order = runtime != nullptr && static_cast<const char*>(runtime)[i] == cookie[i] ? order : nullptr;
    }
    if (order == nullptr) {
        return false;
    }
    const auto* numbers = static_cast<const std::uint64_t*>(runtime) + 3;
    for (int field = 0; field < field_count; ++field) {
        at_[field] = numbers[order[field]];
    }
    c_frame_ = 0;
    return true;
}

bool FrameTable::load_older(std::uint32_t version) {
    const auto release = version >> 16;
    if (release != 0x030B && release != 0x030C) {
        return false;
    }
    for (int field = 0; field < field_count; ++field) {
        at_[field] = release == 0x030B ? offsets_3_11[field] : offsets_3_12[field];
    }
    c_frame_ = c_frame_of_thread;
    return true;
}

FrameTable::Frame FrameTable::first(const _ts* thread) const {
    const void* base = thread;
    if (c_frame_ != 0) {
        base = *reinterpret_cast<const char* const*>(reinterpret_cast<const char*>(thread) + c_frame_);
        if (base == nullptr) {
            return nullptr;
        }
    }
    return python_frame(word<Frame>(base, current_frame));
}

FrameTable::Frame FrameTable::python_frame(Frame frame) const {
    constexpr unsigned char first_of_the_interpreter = 3; // enum _frameowner
    while (frame != nullptr &&
           (word<unsigned char>(frame, owner) >= first_of_the_interpreter || code(frame) == nullptr)) {
        frame = word<Frame>(frame, previous);
    }
    return frame;
}

std::int32_t FrameTable::offset(Frame frame) const {
    const auto start = reinterpret_cast<std::uint64_t>(code(frame)) + at_[code_bytes];
    const auto now = at(frame);
    const auto units = word<std::uint64_t>(code(frame), items); // of two bytes each
    return now >= start && (now - start) / 2 < units ? static_cast<std::int32_t>(now - start) : -1;
}

std::int32_t FrameTable::line(Frame frame) const {
    const _object* of = code(frame);
    const auto* table = word<const char*>(of, code_lines);
    const auto first = static_cast<std::int32_t>(first_line(of));
    const auto instruction_offset = offset(frame);
    if (table == nullptr || instruction_offset < 0) {
        return first; // of the function
    }
    const auto* begin = reinterpret_cast<const unsigned char*>(table + at_[bytes_data]);
    return line_at(begin, begin + word<std::int64_t>(table, items), static_cast<std::uint64_t>(instruction_offset) / 2,
                   first);
}

const char* FrameTable::text(const _object* string, std::size_t most, std::size_t& count) const {
    if (string == nullptr) {
        return nullptr;
    }
    const auto whole = word<std::uint64_t>(string, length);
    count = whole < most ? whole : most;
    const auto* data = reinterpret_cast<const char*>(string) + at_[characters];
    for (std::size_t i = 0; i < count; ++i) {
        if (data[i] <= 0) {
            return nullptr;
        }
    }
    return data;
}

} // namespace preload
