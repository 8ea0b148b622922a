#include "buffer.hpp"

#include <cerrno>
#include <fcntl.h>
#include <initializer_list>
#include <sys/syscall.h>
#include <unistd.h>

namespace python_tsan::companion {
namespace {

constexpr std::size_t kPathSize = 4096;
constexpr char kDigits[] = "0123456789abcdef";

/// Decimal or hexadecimal digits at the end of an array. The sanitizer intercepts snprintf and similar.
struct Digits {
    Digits(std::uint64_t value, unsigned base) {
        do {
            *--begin = kDigits[value % base];
            value /= base;
        } while (value != 0);
    }
    char text[24] = {};
    char* begin = text + sizeof text - 1;
};

/// Makes system calls directly: the sanitizer intercepts libc's functions, and it is our caller.
int open_for_append(const char* path) {
    return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
}

int open_in(const char* folder, const char* stem) {
    char path[kPathSize];
    std::size_t used = 0;
    const Digits pid(static_cast<std::uint64_t>(syscall(SYS_getpid)), 10);
    for (const char* part : {folder, "/", stem, ".", static_cast<const char*>(pid.begin), ".jsonl"}) {
        for (; *part != '\0'; ++part) {
            if (used + 1 == sizeof path) {
                return -1;
            }
            path[used++] = *part;
        }
    }
    path[used] = '\0';
    return open_for_append(path);
}

} // namespace

Line::Line(const char* folder, const char* stem) : descriptor_(open_in(folder, stem)) {}

Line::Line(const char* path) : descriptor_(open_for_append(path)) {}

Line::~Line() {
    put('\n');
    flush();
    if (descriptor_ >= 0) {
        syscall(SYS_close, descriptor_);
    }
}

Line& Line::raw(const char* text) {
    for (; *text != '\0'; ++text) {
        put(*text);
    }
    return *this;
}

Line& Line::text(const char* value) {
    if (value == nullptr) {
        return raw("null");
    }
    put('"');
    for (; *value != '\0'; ++value) {
        const auto byte = static_cast<unsigned char>(*value);
        if (byte < 0x80) {
            letter(byte);
        } else {
            put(*value);
        }
    }
    put('"');
    return *this;
}

Line& Line::number(std::int64_t value) {
    const auto size = static_cast<std::uint64_t>(value);
    return raw(value < 0 ? "-" : "").raw(Digits(value < 0 ? 0 - size : size, 10).begin);
}

Line& Line::address(std::uintptr_t value) {
    return raw("\"0x").raw(Digits(value, 16).begin).raw("\"");
}

Line& Line::boolean(bool value) {
    return raw(value ? "true" : "false");
}

Line& Line::separator(bool first) {
    return first ? *this : raw(",");
}

Line& Line::letter(std::uint32_t point) {
    if (point == '"' || point == '\\') {
        put('\\');
        put(static_cast<char>(point));
    } else if (point < 0x20 || (point >= 0xd800 && point < 0xe000)) {
        raw("\\u");
        for (int shift = 12; shift >= 0; shift -= 4) {
            put(kDigits[point >> shift & 0xf]);
        }
    } else if (point < 0x80) {
        put(static_cast<char>(point));
    } else if (point < 0x800) {
        put(static_cast<char>(0xc0 | point >> 6));
        put(static_cast<char>(0x80 | (point & 0x3f)));
    } else {
        if (point < 0x10000) {
            put(static_cast<char>(0xe0 | point >> 12));
        } else {
            put(static_cast<char>(0xf0 | point >> 18));
            put(static_cast<char>(0x80 | (point >> 12 & 0x3f)));
        }
        put(static_cast<char>(0x80 | (point >> 6 & 0x3f)));
        put(static_cast<char>(0x80 | (point & 0x3f)));
    }
    return *this;
}

void Line::put(char byte) {
    if (used_ == sizeof bytes_) {
        flush();
    }
    bytes_[used_++] = byte;
}

void Line::flush() {
    std::size_t written = 0;
    while (descriptor_ >= 0 && written < used_) {
        const long count = syscall(SYS_write, descriptor_, bytes_ + written, used_ - written);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            break;
        }
        written += static_cast<std::size_t>(count);
    }
    used_ = 0;
}

} // namespace python_tsan::companion
