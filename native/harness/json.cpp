#include "harness/json.hpp"

#include <cmath>
#include <cstddef>
#include <iomanip>
#include <limits>
#include <sstream>

namespace python_tsan {

namespace {

/// Length of the well-formed UTF-8 sequence at `at` (RFC 3629, table of section 4), or 0.
std::size_t sequence_length(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const auto follows = [&](std::size_t i, unsigned low, unsigned high) { return byte(i) >= low && byte(i) <= high; };
    const unsigned lead = byte(at);
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xC2 && lead <= 0xDF) {
        return follows(at + 1, 0x80, 0xBF) ? 2 : 0;
    }
    if (lead >= 0xE0 && lead <= 0xEF) {
        const bool second = follows(at + 1, lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF);
        return second && follows(at + 2, 0x80, 0xBF) ? 3 : 0;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        const bool second = follows(at + 1, lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF);
        return second && follows(at + 2, 0x80, 0xBF) && follows(at + 3, 0x80, 0xBF) ? 4 : 0;
    }
    return 0;
}

std::string number(double value) {
    if (!std::isfinite(value)) {
        return "null"; // JSON has no infinity and no NaN
    }
    std::ostringstream text;
    text << std::setprecision(std::numeric_limits<double>::max_digits10) << value;
    return text.str();
}

} // namespace

JsonWriter& JsonWriter::key(std::string_view name) {
    separate();
    string(name);
    out_ << ':';
    after_key_ = true;
    return *this;
}

JsonWriter& JsonWriter::null() {
    separate();
    out_ << "null";
    return *this;
}

JsonWriter& JsonWriter::value(const Scalar& scalar) {
    separate();
    if (const auto* truth = std::get_if<bool>(&scalar)) {
        out_ << (*truth ? "true" : "false");
    } else if (const auto* whole = std::get_if<long long>(&scalar)) {
        out_ << *whole;
    } else if (const auto* real = std::get_if<double>(&scalar)) {
        out_ << number(*real);
    } else {
        string(std::get<std::string>(scalar));
    }
    return *this;
}

JsonWriter& JsonWriter::value(const std::vector<std::string>& texts) {
    begin_array();
    for (const auto& text : texts) {
        value(Scalar(text));
    }
    return end_array();
}

JsonWriter& JsonWriter::open(char bracket) {
    separate();
    out_ << bracket;
    first_ = true;
    return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
    out_ << bracket;
    first_ = false;
    return *this;
}

void JsonWriter::separate() {
    if (!first_ && !after_key_) {
        out_ << ',';
    }
    first_ = false;
    after_key_ = false;
}

void JsonWriter::string(std::string_view text) {
    out_ << '"';
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = sequence_length(text, at);
        const char head = text[at];
        if (length == 0) {
            out_ << '?';
        } else if (head == '"' || head == '\\') {
            out_ << '\\' << head;
        } else if (length == 1 && static_cast<unsigned char>(head) < 0x20) {
            out_ << "\\u" << std::hex << std::setw(4) << std::setfill('0') << static_cast<int>(head) << std::dec;
        } else {
            out_ << text.substr(at, length);
        }
        at += length == 0 ? 1 : length;
    }
    out_ << '"';
}

} // namespace python_tsan
