// Python frames read from memory alone, by the table that CPython keeps for debuggers.
//
// The C API makes an object of each frame, which costs a few per cent of an import, and without a GIL it takes locks:
// a thread that lets go may be waiting for such a lock, and would wait for itself. Here nothing is locked, made or
// called. The thread that is read is the calling one, so that its frames hold still.

#pragma once

#include <cstddef>
#include <cstdint>

struct _object;
struct _ts;

namespace gil_tracer {

class FrameTable {
public:
    /// Read the table at the beginning of _PyRuntime. False where this version's is not known: before 3.13.
    bool load(const void* runtime, std::uint32_t version);

    using Frame = const char*;

    /// The innermost frame of a thread that runs Python code, null if none does.
    Frame first(const _ts* thread) const { return python_frame(word<Frame>(thread, current_frame)); }
    Frame back(Frame frame) const { return python_frame(word<Frame>(frame, previous)); }

    _object* code(Frame frame) const { return untagged(word<std::uint64_t>(frame, executable)); }
    _object* first_argument(Frame frame) const { return untagged(word<std::uint64_t>(frame, locals)); }
    /// Of the instruction in its code, in bytes; -1 where the code is a copy for one thread.
    std::int32_t offset(Frame frame) const;

    _object* file(const _object* code) const { return word<_object*>(code, code_file); }
    _object* name(const _object* code) const { return word<_object*>(code, code_name); }
    std::uint32_t first_line(const _object* code) const { return word<std::uint32_t>(code, code_line); }

    /// Copy a str that is ASCII, cut to `size`; false for any other, whose form differs between versions.
    bool text(const _object* string, char* out, std::size_t size) const;

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
        code_bytes,
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

    /// The frame, or the next one that is Python's rather than the interpreter's own.
    Frame python_frame(Frame frame) const;

    std::uint64_t at_[field_count] = {};
};

} // namespace gil_tracer
