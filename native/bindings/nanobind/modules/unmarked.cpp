// An extension module built without nanobind's FREE_THREADED option: it does nothing, and its import enables the GIL.

#include <nanobind/nanobind.h>

NB_MODULE(python_tsan_nanobind_unmarked, module) {
    module.attr("__doc__") = "A module of nanobind's that was built without FREE_THREADED.";
}
