// How often the GIL is released while numpy is imported: the first import searches and reads files, with a release for
// each; an import of a module in sys.modules does neither. The preloaded gil_counter counts.

#include "harness/scenario.hpp"

#include <dlfcn.h>
#include <stdexcept>

namespace python_tsan {

using ReleaseCount = unsigned long (*)();

static ReleaseCount release_count() {
    const auto count = reinterpret_cast<ReleaseCount>(dlsym(RTLD_DEFAULT, "python_tsan_gil_releases"));
    if (count == nullptr) {
        throw std::runtime_error("the GIL counter is not preloaded");
    }
    return count;
}

/// Return how often this thread released the GIL while it imported numpy.
static long long releases_of_import(ReleaseCount count) {
    const unsigned long before = count();
    py::import_module("numpy");
    return static_cast<long long>(count() - before);
}

SCENARIO(numpy_import_releases,
         "numpy",
         "The first import of numpy releases the GIL many times, the next one never.",
         .clean().needs("numpy").needs("gil").needs("gil_counter").deadline(120).expect_value("cached", 0LL)) {
    const Interpreter python(context);
    const auto count = release_count();
    context.value("first", releases_of_import(count));
    context.value("cached", releases_of_import(count));
}

} // namespace python_tsan
