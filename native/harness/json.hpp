#pragma once

/// JSON output as the registry and the report need it; nothing here reads JSON or calls Python.

#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace python_tsan {

/// A value that a scenario reports or expects.
using Scalar = std::variant<bool, long long, double, std::string>;

/// Convert a plain value to a Scalar. A `const char*` becomes text, not a bool as by implicit conversion.
template <typename T>
Scalar to_scalar(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
        return value;
    } else if constexpr (std::is_integral_v<T>) {
        return static_cast<long long>(value);
    } else if constexpr (std::is_floating_point_v<T>) {
        return static_cast<double>(value);
    } else {
        return std::string(value);
    }
}

/// Writes one JSON document to a stream. The writer places commas; the caller is responsible for nesting.
/// Bytes that are not UTF-8 are written as `?`, so that the document can always be read.
class JsonWriter {
public:
    explicit JsonWriter(std::ostream& out) : out_(out) {}

    JsonWriter& begin_object() { return open('{'); }
    JsonWriter& end_object() { return close('}'); }
    JsonWriter& begin_array() { return open('['); }
    JsonWriter& end_array() { return close(']'); }
    JsonWriter& key(std::string_view name);
    JsonWriter& null();
    JsonWriter& value(const Scalar& scalar);
    JsonWriter& value(const std::vector<std::string>& texts);

    template <typename T>
    JsonWriter& member(std::string_view name, const T& content) {
        key(name);
        if constexpr (std::is_same_v<T, Scalar> || std::is_same_v<T, std::vector<std::string>>) {
            return value(content);
        } else {
            return value(to_scalar(content));
        }
    }

private:
    JsonWriter& open(char bracket);
    JsonWriter& close(char bracket);
    void separate();
    void string(std::string_view text);

    std::ostream& out_;
    bool first_ = true;
    bool after_key_ = false;
};

} // namespace python_tsan
