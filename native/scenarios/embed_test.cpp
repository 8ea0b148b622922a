// The program that this project began with: numpy imported on the main thread and again in every worker, which then
// computes with it. The second import finds the module in sys.modules, takes no module lock and does no I/O.

#include "harness/scenario.hpp"

#include <string>
#include <vector>

namespace python_tsan {

static constexpr long long embed_length = 100;

/// Sum 0..n-1 in numpy once per iteration. The GIL is taken for each iteration, so that the threads alternate.
static long long sum_in_numpy(unsigned iterations) {
    long long total = 0;
    for (unsigned i = 0; i < iterations; ++i) {
        const py::gil_scoped_acquire gil;
        const auto numpy = py::import_module("numpy");
        total += py::cast<long long>(numpy.attr("arange")(embed_length).attr("sum")());
    }
    return total;
}

SCENARIO(embed_test,
         "numpy",
         "numpy is imported on the main thread and again in every worker; each sums arange(n) under the GIL.",
         .clean().needs("numpy").deadline(120)) {
    const Interpreter python(context);
    py::import_module("numpy");
    std::vector<long long> totals(context.threads());
    race(context, [&](unsigned worker) { totals[worker] = sum_in_numpy(context.iterations()); });
    const long long expected = context.iterations() * (embed_length * (embed_length - 1) / 2);
    for (unsigned worker = 0; worker < context.threads(); ++worker) {
        context.check("total_T" + std::to_string(worker + 1), totals[worker], expected);
    }
}

} // namespace python_tsan
