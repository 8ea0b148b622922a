#include "python.hpp"

#include "capi.hpp"
#include "file.hpp"

namespace lock_recorder {

std::uint64_t python_first = 0, python_last = 0;

namespace {

constexpr int deepest = 64;
constexpr std::uint64_t longest_code = 1 << 28;
constexpr std::size_t longest_name = 1024;
constexpr unsigned char first_of_the_interpreter = 3; // enum _frameowner

/// Offsets in CPython's structures; `none` where a version has no such field.
constexpr std::uint64_t none = ~std::uint64_t{0};
struct Layout {
    std::uint64_t cframe, current_frame, previous, code, instruction, owner;
    std::uint64_t file, name, line, line_table, bytes;
    std::uint64_t bytes_length, bytes_data, text_length, text_data;
};

// From the headers of these releases (pycore_frame.h, code.h, unicodeobject.h), for 64 bits.
constexpr Layout layout_3_11 = {56, 8, 48, 32, 56, 69, 112, 128, 72, 136, 184, 16, 32, 16, 48};
constexpr Layout layout_3_12 = {56, 0, 8, 0, 56, 70, 112, 128, 68, 136, 192, 16, 32, 16, 40};

// Positions, after three words, in the table that CPython has for debuggers (pycore_debug_offsets.h): current frame,
// previous, executable, instruction, owner, file, qualified name, first line, line table, code bytes, length and data
// of bytes, length and size of an ASCII str.
constexpr int table_3_13[] = {20, 26, 27, 28, 30, 32, 34, 36, 35, 40, 62, 63, 66, 67};
constexpr int table_3_14[] = {23, 29, 30, 31, 33, 37, 39, 41, 40, 45, 72, 73, 76, 77};
constexpr int table_3_15[] = {23, 38, 39, 40, 42, 46, 48, 50, 49, 54, 85, 86, 89, 90};

Layout layout;
const char* (*thread_state)() = nullptr;
Table frames_table;
bool has_table = false;

template <typename Value>
Value word(const char* base, std::uint64_t at) {
    return *reinterpret_cast<const Value*>(base + at);
}

const char* untagged(const char* reference) {
    return reinterpret_cast<const char*>(reinterpret_cast<std::uint64_t>(reference) & ~std::uint64_t{7});
}

bool choose_layout(std::uint32_t version, const char* runtime) {
    const auto release = version >> 16;
    if (release == 0x030B || release == 0x030C) {
        layout = release == 0x030B ? layout_3_11 : layout_3_12;
        return true;
    }
    const int* at = release == 0x030D   ? table_3_13
                    : release == 0x030E ? table_3_14
                    : release == 0x030F ? table_3_15
                                        : nullptr;
    constexpr char cookie[] = "xdebugpy";
    for (int i = 0; i < 8 && at != nullptr; ++i) {
        at = runtime != nullptr && runtime[i] == cookie[i] ? at : nullptr;
    }
    if (at == nullptr) {
        return false;
    }
    const auto* numbers = reinterpret_cast<const std::uint64_t*>(runtime) + 3;
    layout = {none,           numbers[at[0]],  numbers[at[1]],  numbers[at[2]],  numbers[at[3]],
              numbers[at[4]], numbers[at[5]],  numbers[at[6]],  numbers[at[7]],  numbers[at[8]],
              numbers[at[9]], numbers[at[10]], numbers[at[11]], numbers[at[12]], numbers[at[13]]};
    return true;
}

const char* python_frame(const char* frame) {
    while (frame != nullptr && (word<unsigned char>(frame, layout.owner) >= first_of_the_interpreter ||
                                untagged(word<const char*>(frame, layout.code)) == nullptr)) {
        frame = word<const char*>(frame, layout.previous);
    }
    return frame;
}

const char* first_frame() {
    const char* state = thread_state == nullptr ? nullptr : thread_state();
    if (state == nullptr) {
        return nullptr;
    }
    if (layout.cframe != none) {
        state = word<const char*>(state, layout.cframe);
        if (state == nullptr) {
            return nullptr;
        }
    }
    return python_frame(word<const char*>(state, layout.current_frame));
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

/// Reads a location table (Objects/locations.md of CPython: entries of a first byte 1kkkklll, kind and length - 1).
std::int32_t line_of(const char* code, std::uint64_t instruction) {
    auto line = word<std::int32_t>(code, layout.line);
    const char* table = word<const char*>(code, layout.line_table);
    const auto start = reinterpret_cast<std::uint64_t>(code) + layout.bytes;
    if (table == nullptr || instruction < start || instruction - start >= longest_code) {
        return line; // a copy for one thread: the line of the function
    }
    const auto wanted = (instruction - start) / 2;
    const auto* cursor = reinterpret_cast<const unsigned char*>(table + layout.bytes_data);
    const auto* end = cursor + word<std::int64_t>(table, layout.bytes_length);
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

/// An ASCII str; any other, whose layout differs between versions, is "?".
std::uint32_t intern_str(const char* string) {
    if (string == nullptr) {
        return 0;
    }
    const auto whole = word<std::uint64_t>(string, layout.text_length);
    const auto count = whole < longest_name ? whole : longest_name;
    for (std::uint64_t i = 0; i < count; ++i) {
        if (string[layout.text_data + i] <= 0) {
            return intern_text("?", 1);
        }
    }
    return intern_text(string + layout.text_data, count);
}

std::uint32_t intern_frame(const PythonFrame& frame) {
    const auto hash = mix(mix(mix(frame.parent, frame.function), frame.file), static_cast<std::uint64_t>(frame.line));
    const auto* known = rows<PythonFrame>(Part::python_frames);
    return frames_table.find_or_make(
        hash,
        [&](std::uint32_t row) {
            const auto& one = known[row];
            return one.parent == frame.parent && one.function == frame.function && one.file == frame.file &&
                   one.line == frame.line;
        },
        [&] { return append(Part::python_frames, frame); });
}

} // namespace

void python_found(const Loaded& object) {
    header->flags.fetch_or(sees_python);
    if (capi_checks()) {
        header->flags.fetch_or(checks_calls);
    }
    python_first = object.first;
    python_last = object.last;
    const auto* version = static_cast<const unsigned long*>(exported(object, "Py_Version"));
    header->python = version == nullptr ? 0 : static_cast<std::uint32_t>(*version);
    if (exported(object, "PyUnstable_Module_SetGIL") != nullptr) { // by free-threaded builds only
        header->flags.fetch_or(free_threaded);
    }
    // Public from 3.13, under another name before.
    void* current = exported(object, "PyThreadState_GetUnchecked");
    current = current != nullptr ? current : exported(object, "_PyThreadState_UncheckedGet");
    if (current != nullptr && choose_layout(header->python, static_cast<char*>(exported(object, "_PyRuntime")))) {
        has_table = has_table || frames_table.reserve(1 << 18);
        thread_state = reinterpret_cast<const char* (*)()>(current);
    }
}

std::uint32_t intern_python_stack() {
    const char* codes[deepest];
    std::uint64_t instructions[deepest];
    int count = 0;
    for (const char* frame = first_frame(); frame != nullptr && count < deepest;
         frame = python_frame(word<const char*>(frame, layout.previous))) {
        codes[count] = untagged(word<const char*>(frame, layout.code));
        instructions[count++] = word<std::uint64_t>(frame, layout.instruction);
    }
    std::uint32_t row = 0;
    for (int i = count - 1; i >= 0; --i) {
        const auto function = intern_str(word<const char*>(codes[i], layout.name));
        const auto file = intern_str(word<const char*>(codes[i], layout.file));
        const auto next = intern_frame(PythonFrame{row, function, file, line_of(codes[i], instructions[i])});
        row = next == 0 ? row : next;
    }
    return row;
}

std::uint64_t python_stack_key() {
    std::uint64_t key = 1;
    const char* frame = first_frame();
    for (int i = 0; i < 2 && frame != nullptr; ++i) {
        key = mix(mix(key, reinterpret_cast<std::uint64_t>(frame)), word<std::uint64_t>(frame, layout.instruction));
        frame = python_frame(word<const char*>(frame, layout.previous));
    }
    return key;
}

void python_forget() {
    frames_table.release();
    has_table = frames_table.reserve(1 << 18);
}

} // namespace lock_recorder
