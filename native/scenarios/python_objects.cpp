// Python objects changed by many C++ threads, each change entirely under the GIL.

#include "harness/scenario.hpp"

#include <functional>

namespace python_tsan {

/// Run `change` once per thread and iteration, with the GIL held throughout.
static void change_under_gil(Context& context, const std::function<void()>& change) {
    race(context, [&](unsigned) {
        for (unsigned i = 0; i < context.iterations(); ++i) {
            const py::gil_scoped_acquire gil;
            change();
        }
    });
}

SCENARIO(python_list, "objects", "Threads append to one Python list.", .clean()) {
    const Interpreter python(context);
    py::list list;
    change_under_gil(context, [&] { list.append(1); });
    context.check("length", static_cast<long long>(list.size()), context.total());
    context.check("sum", py::cast<long long>(py::import_module("builtins").attr("sum")(list)), context.total());
}

SCENARIO(python_dict, "objects", "Threads count in one Python dict: read, add, store.", .clean().needs("gil")) {
    const Interpreter python(context);
    py::dict dict;
    dict["count"] = 0;
    change_under_gil(context, [&] { dict["count"] = py::cast<long long>(dict["count"]) + 1; });
    context.check("count", py::cast<long long>(dict["count"]), context.total());
    context.check("keys", static_cast<long long>(dict.size()), 1LL);
}

SCENARIO(python_dict_lost_update,
         "objects",
         "Two threads read a count from one dict before either stores its own: no race, but an update is lost.",
         .clean().twin("python_dict").needs("free_threading").expect_value("count", 1)) {
    const Interpreter python(context);
    py::dict dict;
    dict["count"] = 0;
    Barrier both_have_read(2);
    const auto count = [&] {
        const py::gil_scoped_acquire no_guard;
        const auto seen = py::cast<long long>(dict["count"]);
        both_have_read.wait(); // with a GIL, the first thread would hold it and the second never arrive
        dict["count"] = seen + 1;
    };
    race(context, {count, count});
    context.value("count", py::cast<long long>(dict["count"]));
}

SCENARIO(python_int,
         "objects",
         "Threads replace one Python int by its successor, in a C++ global.",
         .clean().needs("gil")) {
    const Interpreter python(context);
    py::object number = py::int_(0);
    change_under_gil(context, [&] { number = number + py::int_(1); });
    context.check("value", py::cast<long long>(number), context.total());
}

} // namespace python_tsan
