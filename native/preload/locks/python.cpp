#include "python.hpp"

#include "../common/frames.hpp"
#include "../common/table.hpp"
#include "capi.hpp"
#include "file.hpp"

namespace lock_recorder {

std::uint64_t python_first = 0, python_last = 0;

namespace {

constexpr int deepest = 64;
constexpr std::size_t longest_name = 1024;
preload::FrameTable frames;
const _ts* (*thread_state)() = nullptr;
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
    if (current != nullptr &&
        (frames.load(exported(object, "_PyRuntime"), header->python) || frames.load_older(header->python))) {
        has_table = has_table || frames_table.prepare();
        thread_state = reinterpret_cast<const _ts* (*)()>(current);
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
        const auto* code = frames.code(stack[i]);
        const auto function = intern_str(frames.name(code));
        const auto file = intern_str(frames.file(code));
        const auto next = intern_frame(PythonFrame{row, function, file, frames.line(stack[i])});
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
    frames_table.release();
    has_table = frames_table.prepare();
}

} // namespace lock_recorder
