// Python frames read from memory only, with the table of offsets that CPython has for debuggers.
//
// The C API creates an object for each frame, which costs a few per cent of an import, and without a GIL it takes
// locks: a thread that releases the GIL may be waiting for such a lock, and would deadlock. Here nothing is locked,
// created or called. Only the calling thread is read, so that its frames do not change.

#pragma once

#include <cstddef>
#include <cstdint>

struct _object;
struct _ts;

namespace preload {

class FrameTable {
public:
    /// Read the table at the start of _PyRuntime. False if the version has none or an unknown one: before 3.13.
    bool load(const void* runtime, std::uint32_t version);
    /// The offsets of the releases before that table, 3.11 and 3.12. False for any other.
    bool load_older(std::uint32_t version);

    using Frame = const char*;

    /// The innermost frame of the calling thread, null if it runs no Python code.
    Frame first(const _ts* thread) const;
    Frame back(Frame frame) const { return python_frame(word<Frame>(frame, previous)); }

    _object* code(Frame frame) const { return untagged(word<std::uint64_t>(frame, executable)); }
    _object* first_argument(Frame frame) const { return untagged(word<std::uint64_t>(frame, locals)); }
    /// The address of the instruction.
    std::uint64_t at(Frame frame) const { return word<std::uint64_t>(frame, instruction); }
    /// Offset of the instruction in its code, in bytes; -1 if the code is a copy for one thread.
    std::int32_t offset(Frame frame) const;
    /// The line of the instruction, 0 if it has none.
    std::int32_t line(Frame frame) const;

    _object* file(const _object* code) const { return word<_object*>(code, code_file); }
    _object* name(const _object* code) const { return word<_object*>(code, code_name); }
    std::uint32_t first_line(const _object* code) const { return word<std::uint32_t>(code, code_line); }

    /// The characters of an ASCII str, or of its first `most`; null for any other, whose layout differs between
    /// versions.
    const char* text(const _object* string, std::size_t most, std::size_t& count) const;

private:
    enum Field {
        current_frame,
        previous,
        executable,
        instruction,
        locals,
        owner,
        code_file,
        code_name,
        code_line,
        code_lines,
        code_bytes,
        items, // of an object of variable size: bytes, or units of code
        bytes_data,
        length,
        characters,
        field_count
    };

    template <typename Value>
    Value word(const void* base, Field field) const {
        return *reinterpret_cast<const Value*>(reinterpret_cast<const char*>(base) + at_[field]);
    }

    static _object* untagged(std::uint64_t reference) {
        return reinterpret_cast<_object*>(reference & ~std::uint64_t{7}); // tagged since 3.14
    }

    /// The frame, or the next one that is not the interpreter's own.
    Frame python_frame(Frame frame) const;

    std::uint64_t at_[field_count] = {};
    std::uint64_t c_frame_ = 0; // between the thread and its current frame, up to 3.12
};

} // namespace preload
