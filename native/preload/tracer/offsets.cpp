#include "offsets.hpp"

#include <cstring>

namespace gil_tracer {

namespace {

constexpr std::uint64_t longest_code = 1 << 28;

/// Positions of the table's numbers, which follow three words: cookie, version, free-threaded. Their order is that of
/// https://github.com/python/cpython/blob/3.13/Include/internal/pycore_runtime.h and, from 3.14 on, of
/// https://github.com/python/cpython/blob/3.14/Include/internal/pycore_debug_offsets.h. A version that is not listed
/// has no order that could be trusted.
constexpr int order_3_13[] = {20, 26, 27, 28, 29, 30, 32, 34, 36, 40, 66, 67};
constexpr int order_3_14[] = {23, 29, 30, 31, 32, 33, 37, 39, 41, 45, 76, 77};
constexpr int order_3_15[] = {23, 37, 38, 39, 40, 41, 45, 47, 49, 53, 88, 89};

const int* order_of(std::uint32_t version) {
    switch (version >> 16) {
    case 0x030D:
        return order_3_13;
    case 0x030E:
        return order_3_14;
    case 0x030F:
        return order_3_15;
    default:
        return nullptr;
    }
}

} // namespace

bool FrameTable::load(const void* runtime, std::uint32_t version) {
    const int* order = order_of(version);
    if (runtime == nullptr || order == nullptr || std::memcmp(runtime, "xdebugpy", 8) != 0) {
        return false;
    }
    const auto* numbers = static_cast<const std::uint64_t*>(runtime) + 3;
    for (int field = 0; field < field_count; ++field) {
        at_[field] = numbers[order[field]];
    }
    return true;
}

FrameTable::Frame FrameTable::python_frame(Frame frame) const {
    constexpr unsigned char first_of_the_interpreter = 3;
    while (frame != nullptr &&
           (word<unsigned char>(frame, owner) >= first_of_the_interpreter || code(frame) == nullptr)) {
        frame = word<Frame>(frame, previous);
    }
    return frame;
}

std::int32_t FrameTable::offset(Frame frame) const {
    const auto start = reinterpret_cast<std::uint64_t>(code(frame)) + at_[code_bytes];
    const auto now = word<std::uint64_t>(frame, instruction);
    return now >= start && now - start < longest_code ? static_cast<std::int32_t>(now - start) : -1;
}

bool FrameTable::text(const _object* string, char* out, std::size_t size) const {
    if (string == nullptr) {
        return false;
    }
    const auto whole = word<std::uint64_t>(string, length);
    const auto count = whole < size ? whole : size - 1;
    const auto* data = reinterpret_cast<const char*>(string) + at_[characters];
    for (std::size_t i = 0; i < count; ++i) {
        if (data[i] <= 0) {
            return false;
        }
        out[i] = data[i];
    }
    out[count] = '\0';
    return true;
}

} // namespace gil_tracer
