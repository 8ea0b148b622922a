// One numpy array, written by numpy and read by an extension at the same time. numpy releases the GIL while a loop
// runs, so a thread that holds the GIL has no exclusive access to the array. Only an instrumented numpy shows its half
// of the race; the wheel's code is not instrumented.

#include "harness/scenario.hpp"

#include <cstddef>
#include <string>

namespace python_tsan {

// numpy keeps the GIL for loops over fewer elements than 500 (NPY_BEGIN_THREADS_THRESHOLDED).
static constexpr long ELEMENTS = 4096;

/// The array's memory, and the Python object for it.
struct Numbers {
    py::object array = py::import_module("numpy").attr("zeros")(ELEMENTS, "int64");
    long long* data = reinterpret_cast<long long*>(py::cast<std::size_t>(array.attr("ctypes").attr("data")));
};

/// Let numpy write all of `part`: its loop runs without the GIL.
static void write_by_numpy(const py::object& part) {
    const py::gil_scoped_acquire gil;
    py::import_module("numpy").attr("add")(part, 1, py::arg("out") = part);
}

/// Read one element, like an extension that got the buffer's address while it held the GIL.
static PYTHON_TSAN_NOINLINE long long read_by_extension(const long long* element) {
    return *element;
}

static long long write_and_read(Context& context, const py::object& by_numpy, const long long* by_extension) {
    long long seen = 0;
    take_turns(context, {[&] { write_by_numpy(by_numpy); }, [&] { seen = read_by_extension(by_extension); }});
    return seen;
}

SCENARIO(numpy_buffer_halves,
         "numpy",
         "An extension reads an element of an array while numpy adds to the other half.",
         .clean().twin("numpy_buffer_shared").needs("instrumented-numpy").full_lane_only().deadline(120)) {
    const Interpreter python(context);
    const Numbers numbers;
    const py::object half = numbers.array[py::slice(0L, ELEMENTS / 2, 1L)];
    context.check("seen", write_and_read(context, half, numbers.data + ELEMENTS / 2), 0LL);
}

SCENARIO(numpy_buffer_shared,
         "numpy",
         "An extension reads an element of an array while numpy adds to it.",
         .race("", "").twin("numpy_buffer_halves").needs("instrumented-numpy").full_lane_only().deadline(120)) {
    const Interpreter python(context);
    const Numbers numbers;
    context.value("seen", write_and_read(context, numbers.array, numbers.data + ELEMENTS / 2));
}

} // namespace python_tsan
