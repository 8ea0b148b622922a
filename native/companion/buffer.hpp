// A line that is built without the heap and written without libc's wrappers.
//
// Thread rules: one writer at a time. The report hook runs under the sanitizer's own lock, the exit hook when the
// process ends; neither may allocate, because the report may have come from inside an allocator.
#pragma once

#include <cstddef>
#include <cstdint>

namespace python_tsan::companion {

class Line {
public:
    /// Opens FOLDER/STEM.PID.jsonl for appending; nothing is written when that fails.
    Line(const char* folder, const char* stem);
    /// Opens a file for appending.
    explicit Line(const char* path);
    /// Ends the line and closes the file.
    ~Line();
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    /// Copies text unchanged: brackets, commas, names without characters to escape.
    Line& raw(const char* text);
    /// Writes a JSON string, or null for a null pointer; bytes are assumed to be UTF-8.
    Line& text(const char* value);
    Line& number(std::int64_t value);
    /// Writes a JSON string of lower-case hexadecimal digits after 0x.
    Line& address(std::uintptr_t value);
    Line& boolean(bool value);
    /// Writes a comma unless this is the first element.
    Line& separator(bool first);
    /// Writes one code point of a JSON string that raw() has opened.
    Line& letter(std::uint32_t point);

private:
    void put(char byte);
    void flush();

    int descriptor_;
    std::size_t used_ = 0;
    char bytes_[4096];
};

} // namespace python_tsan::companion
