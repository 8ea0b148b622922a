#include "harness/report.hpp"

#include "harness/gil.hpp"
#include "harness/json.hpp"

#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace python_tsan {

namespace {

void write_error(JsonWriter& json, const Error& error) {
    json.begin_object()
        .member("type", error.type)
        .member("text", error.text)
        .member("thread", error.thread)
        .end_object();
}

void write_object(JsonWriter& json, const std::string& scenario, const Context& context) {
    json.begin_object()
        .member("scenario", scenario)
        .member("threads", context.threads())
        .member("iterations", context.iterations());
    json.key("values").begin_object();
    for (const auto& [name, value] : context.values()) {
        json.member(name, value);
    }
    json.end_object().member("wrong", context.wrong());
    json.key("error");
    if (context.errors().empty()) {
        json.null();
    } else {
        write_error(json, context.errors().front());
    }
    json.key("errors").begin_array();
    for (const auto& error : context.errors()) {
        write_error(json, error);
    }
    json.end_array();
    json.key("gil")
        .begin_object()
        .member("built", built_with_gil)
        .member("enabled", gil_record().enabled)
        .member("enabled_by", gil_record().enabled_by)
        .end_object();
    json.end_object();
}

} // namespace

void write_report(const std::string& path, const std::string& scenario, const Context& context) {
    const std::string partial = path + ".partial";
    std::ofstream out(partial);
    JsonWriter json(out);
    write_object(json, scenario, context);
    out << '\n';
    out.close();
    if (!out || std::rename(partial.c_str(), path.c_str()) != 0) {
        throw std::runtime_error("cannot write the report " + path);
    }
}

} // namespace python_tsan
