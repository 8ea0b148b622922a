// Writes one document that holds every awkward case; the test reads it with Python's json.

#include "harness/json.hpp"

#include <iostream>
#include <limits>

int main() {
    using python_tsan::JsonWriter;
    JsonWriter json(std::cout);
    json.begin_object()
        .member("quotes", "say \"hi\" \\ there")
        .member("control", std::string("a\tb\nc\x01") + '\0' + "d")
        .member("utf8", "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\x8D")
        .member("broken", "\xFF|\xC3|\xC0\x80|\xED\xA0\x80|\xF4\x90\x80\x80|\xE2\x82")
        .member("literal_is_text", "true")
        .member("truth", true)
        .member("smallest", std::numeric_limits<long long>::min())
        .member("unsigned", 7U)
        .member("third", 1.0 / 3.0)
        .member("not_a_number", std::numeric_limits<double>::quiet_NaN())
        .member("texts", std::vector<std::string>{"a", "b"})
        .member("none", std::vector<std::string>{});
    json.key("nested").begin_array().begin_object().end_object().begin_object().member("x", 1).end_object().end_array();
    json.key("nothing").null().member("last", "z").end_object();
}
