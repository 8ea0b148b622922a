#include "strings.hpp"

#include "../common/table.hpp"
#include "spool.hpp"

#include <cstring>

namespace gil_tracer {

namespace {

constexpr std::size_t longest = 65535; // bytes of a name or path

preload::Table table;

std::uint32_t add_string(Header* header, const char* text, std::size_t length) {
    const auto used = header->strings.used.load(std::memory_order_relaxed);
    if (length > longest || used + length + 1 > header->strings.bytes ||
        !claim(header, header->strings, used + length + 1)) {
        return 0;
    }
    auto* place = rows<char>(header, header->strings) + used;
    std::memcpy(place, text, length);
    place[length] = '\0';
    header->strings.used.store(used + length + 1, std::memory_order_release);
    return static_cast<std::uint32_t>(used);
}

} // namespace

void prepare_strings() {
    table.prepare();
}

void forget_strings() {
    table.release();
}

std::uint32_t intern_string(Header* header, const char* text) {
    std::uint64_t hash = 0;
    const auto length = std::strlen(text);
    for (std::size_t i = 0; i < length; ++i) {
        hash = preload::mix(hash, static_cast<unsigned char>(text[i]));
    }
    const auto* strings = rows<char>(header, header->strings);
    return table.find_or_make(
        hash, [&](std::uint32_t row) { return std::strcmp(strings + row, text) == 0; },
        [&] { return add_string(header, text, length); });
}

std::uint32_t intern_object(Header* header, const Python& python, _object* object) {
    if (object == nullptr) {
        return 0;
    }
    const char* text = python.utf8(object, nullptr); // null for a path that is not UTF-8
    const auto row = intern_string(header, text == nullptr ? "?" : text);
    python.decrement(object);
    return row;
}

std::uint32_t intern_text(Header* header, const Python& python, _object* string) {
    static char text[4096];
    std::size_t count = 0;
    if (const char* characters = python.table.text(string, sizeof text - 1, count)) {
        std::memcpy(text, characters, count);
        text[count] = '\0';
        return intern_string(header, text);
    }
    if (string == nullptr || python.free_threaded) {
        return intern_string(header, "?");
    }
    const ErrorKept kept(python);
    python.increment(string);
    return intern_object(header, python, string);
}

} // namespace gil_tracer
