#include "codes.hpp"

#include "../common/table.hpp"
#include "spool.hpp"
#include "strings.hpp"

#include <cstring>

namespace gil_tracer {

namespace {

/// The position of a code object in the table, from some bits of its address.
struct Shortcut {
    _object* object;
    std::uint32_t row;
};

preload::Table table;
Known* known = nullptr; // by row
std::uint64_t known_bytes = 0;
constexpr std::size_t shortcut_count = 512;
Shortcut shortcuts[shortcut_count];

bool ends_with(const char* text, const char* end) {
    const auto length = std::strlen(text);
    const auto needed = std::strlen(end);
    return length >= needed && std::strcmp(text + length - needed, end) == 0;
}

Role role_of(const char* file, const char* name) {
    const bool frozen = std::strncmp(file, "<frozen ", 8) == 0;
    if (frozen && (ends_with(file, "importlib._bootstrap>") || ends_with(file, "importlib._bootstrap_external>") ||
                   ends_with(file, "zipimport>"))) {
        // The second is called if another thread is already importing the module.
        const bool about = std::strcmp(name, "_find_and_load") == 0 || std::strcmp(name, "_lock_unlock_module") == 0;
        return about ? Role::about_module : Role::importlib;
    }
    return std::strcmp(name, "<module>") == 0 ? Role::body : Role::other;
}

Role role_of(Header* header, const Code& code) {
    const auto* strings = rows<char>(header, header->strings);
    return role_of(strings + code.file, strings + code.name);
}

std::uint32_t keep_code(Header* header, const Python& python, _object* object, const Code& code) {
    const auto row = append(header, header->codes, code);
    if (row != 0) {
        python.increment(object);
        known[row] = Known{object, role_of(header, code)};
    }
    return row;
}

std::uint32_t add_code(Header* header, const Python& python, _object* object, _frame* frame) {
    const ErrorKept kept(python);
    Code code{};
    code.file = intern_object(header, python, python.attribute(object, "co_filename"));
    code.name = intern_object(header, python, python.attribute(object, "co_qualname"));
    if (_object* line = python.attribute(object, "co_firstlineno")) {
        code.first_line = static_cast<std::uint32_t>(python.as_long(line));
        python.decrement(line);
    }
    if (role_of(header, code) == Role::body) {
        if (_object* globals = python.frame_globals(frame)) {
            code.module = intern_object(header, python, python.item(globals, "__name__"));
            python.decrement(globals);
        }
    }
    return keep_code(header, python, object, code);
}

std::uint32_t add_code_by_table(Header* header, const Python& python, _object* object) {
    const auto file = intern_text(header, python, python.table.file(object));
    const auto name = intern_text(header, python, python.table.name(object));
    return keep_code(header, python, object, Code{file, name, 0, python.table.first_line(object)});
}

/// The row of a code object; `add` creates one for a new object.
template <typename Add>
std::uint32_t find_or_add(_object* object, Add add) {
    const auto address = reinterpret_cast<std::uint64_t>(object);
    auto& shortcut = shortcuts[(address >> 4) % shortcut_count];
    if (shortcut.object != object) {
        const auto row = table.find_or_make(
            preload::mix(0, address), [&](std::uint32_t one) { return known[one].object == object; }, add);
        shortcut = Shortcut{row == 0 ? nullptr : object, row};
    }
    return shortcut.row;
}

} // namespace

bool prepare_codes(Header* header) {
    const auto most = header->codes.bytes / sizeof(Code);
    table.prepare();
    known_bytes = most * sizeof(Known);
    known = static_cast<Known*>(preload::raw_memory(known_bytes));
    return known != nullptr;
}

void forget_codes() {
    table.release();
    std::memset(shortcuts, 0, sizeof shortcuts);
    if (known != nullptr) {
        preload::raw_release(known, known_bytes);
        known = nullptr;
    }
}

const Known& known_code(std::uint32_t row) {
    return known[row];
}

std::uint32_t intern_code(Header* header, const Python& python, _object* object, _frame* frame) {
    return find_or_add(object, [&] { return add_code(header, python, object, frame); });
}

std::uint32_t intern_code_by_table(Header* header, const Python& python, _object* object) {
    return find_or_add(object, [&] { return add_code_by_table(header, python, object); });
}

} // namespace gil_tracer
