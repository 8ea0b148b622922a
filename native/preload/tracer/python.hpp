// The few functions of CPython's C API that the tracer calls, found at run time: one build serves every version.

#pragma once

#include "../common/frames.hpp"
#include "format.hpp"

struct _object;
struct _ts;
struct _frame;

namespace gil_tracer {

struct Python {
    // Public since 3.11, or older.
    _ts* (*thread_state)() = nullptr;
    _frame* (*top_frame)(_ts*) = nullptr;
    _frame* (*frame_back)(_frame*) = nullptr;
    _object* (*frame_code)(_frame*) = nullptr;
    int (*frame_offset)(_frame*) = nullptr;
    _object* (*frame_globals)(_frame*) = nullptr;
    _object* (*frame_locals)(_frame*) = nullptr;
    int (*code_line)(_object*, int) = nullptr;
    _object* (*attribute)(_object*, const char*) = nullptr;
    _object* (*item)(_object*, const char*) = nullptr;
    const char* (*utf8)(_object*, std::int64_t*) = nullptr;
    long (*as_long)(_object*) = nullptr;
    void (*increment)(_object*) = nullptr;
    void (*decrement)(_object*) = nullptr;
    void (*error_fetch)(_object**, _object**, _object**) = nullptr;
    void (*error_restore)(_object*, _object*, _object*) = nullptr;
    int (*collector_on)() = nullptr;
    int (*collector_off)() = nullptr;
    // Since 3.12.
    _object* (*frame_variable)(_frame*, const char*) = nullptr;

    std::uint32_t version = 0;
    bool free_threaded = false;
    preload::FrameTable table;
    bool has_table = false; // and it is used

    /// Find all functions. False if one is missing: the Python is older than 3.11.
    bool load();
};

/// The Python of this process, after it has been found.
extern Python traced;

/// Preserves the Python error that the caller may be handling. The caller is attached.
class ErrorKept {
public:
    explicit ErrorKept(const Python& python) : python_(python) { python.error_fetch(&type_, &value_, &trace_); }
    ~ErrorKept() { python_.error_restore(type_, value_, trace_); }
    ErrorKept(const ErrorKept&) = delete;
    ErrorKept& operator=(const ErrorKept&) = delete;

private:
    const Python& python_;
    _object* type_ = nullptr;
    _object* value_ = nullptr;
    _object* trace_ = nullptr;
};

} // namespace gil_tracer
