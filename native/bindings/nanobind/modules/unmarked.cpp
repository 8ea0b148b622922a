// An extension module as its author gets it who does not ask nanobind for FREE_THREADED: it takes part in nothing, and
// its import alone brings the GIL back.

#include <nanobind/nanobind.h>

NB_MODULE(python_tsan_nanobind_unmarked, module) {
    module.attr("__doc__") = "A module of nanobind's that was built without FREE_THREADED.";
}
