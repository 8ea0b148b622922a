#include "python.hpp"

#include "../common/frames.hpp"
#include "../common/table.hpp"
#include "capi.hpp"
#include "file.hpp"
#include "gil.hpp"
#include "python_locks.hpp"
#include "threads.hpp"

namespace lock_recorder {

std::uint64_t python_first = 0, python_last = 0;

namespace {

constexpr int deepest = 64;
constexpr std::size_t longest_name = 1024;
preload::FrameTable frames;
const _ts* (*thread_state)() = nullptr;
const void* (*main_interpreter)() = nullptr;
Table frames_table;
bool has_table = false;

const char* first_frame() {
    const auto* state = thread_state == nullptr ? nullptr : thread_state();
    return state == nullptr ? nullptr : frames.first(state);
}

/// An ASCII str; any other is "?".
std::uint32_t intern_str(const _object* string) {
    if (string == nullptr) {
        return 0;
    }
    std::size_t count = 0;
    const char* characters = frames.text(string, longest_name, count);
    return characters == nullptr ? intern_text("?", 1) : intern_text(characters, count);
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

/// The row of a frame, by what costs little to find out: most frames of a stack were in the one before.
struct KnownFrame {
    std::uint64_t instruction;
    const _object* name;
    std::uint32_t parent;
    std::uint32_t row;
};
constexpr std::size_t known_frames = 512;
KnownFrame recent[known_frames];

std::uint32_t intern_frame_at(std::uint32_t parent, const char* frame) {
    const auto instruction = frames.at(frame);
    const auto* code = frames.code(frame);
    const auto* name = frames.name(code);
    auto& known = recent[mix(instruction, parent) % known_frames];
    if (known.instruction != instruction || known.name != name || known.parent != parent || known.row == 0) {
        const auto line = frames.line(frame);
        const auto row = intern_frame(PythonFrame{parent, intern_str(name), intern_str(frames.file(code)), line});
        known = KnownFrame{instruction, name, parent, row};
    }
    return known.row;
}

/// The role of a code object. A name that was seen at the same address is the same code's.
struct KnownCode {
    const _object* code;
    const _object* name;
    FrameRole role;
};
constexpr struct {
    const char* name;
    const char* end_of_file;
    FrameRole role;
} known_roles[] = {
    {"_ModuleLock.acquire", "importlib._bootstrap>", FrameRole::acquires_module},
    {"_ModuleLock.release", "importlib._bootstrap>", FrameRole::releases_module},
    {"Thread._set_tstate_lock", "/threading.py", FrameRole::begins_thread},
    {"_AcquireFutures.__enter__", "/futures/_base.py", FrameRole::takes_all},
    {"_AcquireFutures.__exit__", "/futures/_base.py", FrameRole::takes_all},
};
constexpr std::size_t known_codes = 128;
[[gnu::tls_model("initial-exec")]] __thread KnownCode codes[known_codes];

bool text_is(const _object* string, const char* text) {
    std::size_t count = 0;
    const char* characters = frames.text(string, longest_name, count);
    return characters != nullptr && count == length_of(text) && begins_with(characters, text);
}

bool text_ends_with(const _object* string, const char* end) {
    std::size_t count = 0;
    const char* characters = frames.text(string, longest_name, count);
    const auto length = length_of(end);
    return characters != nullptr && count >= length && begins_with(characters + count - length, end);
}

FrameRole role_of(const _object* code) {
    const auto* name = frames.name(code);
    auto& known = codes[(reinterpret_cast<std::uint64_t>(code) >> 4) % known_codes];
    if (known.code != code || known.name != name) {
        known = KnownCode{code, name, FrameRole::none};
        for (const auto& each : known_roles) {
            if (text_is(name, each.name) && text_ends_with(frames.file(code), each.end_of_file)) {
                known.role = each.role;
            }
        }
    }
    return known.role;
}

} // namespace

std::uint64_t python_interpreter_of(std::uint64_t state) {
    constexpr std::uint64_t to_interpreter = 16; // struct _ts: prev, next, interp
    if (state != 0) {
        return *reinterpret_cast<const std::uint64_t*>(state + to_interpreter);
    }
    return main_interpreter == nullptr ? 0 : reinterpret_cast<std::uint64_t>(main_interpreter());
}

std::uint64_t python_interpreter() {
    const auto* state = thread_state == nullptr ? nullptr : thread_state();
    return state == nullptr ? 0 : python_interpreter_of(reinterpret_cast<std::uint64_t>(state));
}

PythonCaller python_frame() {
    const char* frame = first_frame();
    if (frame == nullptr) {
        return PythonCaller{FrameRole::none, nullptr, 0};
    }
    return PythonCaller{role_of(frames.code(frame)), frames.first_argument(frame), frames.at(frame)};
}

std::uint32_t python_text(const void* string) {
    const Latched latched(tables);
    return intern_str(static_cast<const _object*>(string));
}

bool python_text_is(const void* string, const char* text) {
    return text_is(static_cast<const _object*>(string), text);
}

void python_found(const Loaded& object) {
    header->flags.fetch_or(sees_python);
    capi_note_gaps();
    if (capi_checks()) {
        header->flags.fetch_or(checks_calls);
    }
    python_first = object.first;
    python_last = object.last;
    const auto* version = static_cast<const unsigned long*>(exported(object, "Py_Version"));
    header->python = version == nullptr ? 0 : static_cast<std::uint32_t>(*version);
    if (exported(object, "PyUnstable_Module_SetGIL") != nullptr) { // by free-threaded builds only
        header->flags.fetch_or(free_threaded);
        main_interpreter = reinterpret_cast<const void* (*)()>(exported(object, "PyInterpreterState_Main"));
        follows_attachment = true;
    }
    // Public from 3.13, under another name before.
    void* current = exported(object, "PyThreadState_GetUnchecked");
    current = current != nullptr ? current : exported(object, "_PyThreadState_UncheckedGet");
    if (current != nullptr &&
        (frames.load(exported(object, "_PyRuntime"), header->python) || frames.load_older(header->python))) {
        has_table = has_table || frames_table.prepare();
        thread_state = reinterpret_cast<const _ts* (*)()>(current);
        if (!only_waits) {
            python_locks_redirect(object);
        }
    }
}

std::uint32_t intern_python_stack() {
    const char* stack[deepest];
    int count = 0;
    for (auto frame = first_frame(); frame != nullptr && count < deepest; frame = frames.back(frame)) {
        stack[count++] = frame;
    }
    std::uint32_t row = 0;
    for (int i = count - 1; i >= 0; --i) {
        const auto next = intern_frame_at(row, stack[i]);
        row = next == 0 ? row : next;
    }
    return row;
}

std::uint64_t python_stack_key() {
    std::uint64_t key = 1;
    auto frame = first_frame();
    for (int i = 0; i < 2 && frame != nullptr; ++i) {
        key = mix(mix(key, reinterpret_cast<std::uint64_t>(frame)), frames.at(frame));
        frame = frames.back(frame);
    }
    return key;
}

void python_forget() {
    for (auto& each : recent) {
        each.row = 0;
    }
    frames_table.release();
    has_table = frames_table.prepare();
}

} // namespace lock_recorder
