// A thread that is still there when the interpreter ends. CPython ends it when it asks for the GIL, up to 3.13.7 by
// pthread_exit, and from 3.13.8 on by letting it wait for ever: https://github.com/python/cpython/issues/87135

#include "harness/scenario.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <pthread.h>
#include <stdexcept>

namespace python_tsan {

constexpr bool latecomers_wait_for_ever = PY_VERSION_HEX >= 0x030D0800;

/// A thread that has been in Python and left, and the point at which it goes on.
struct Worker {
    Barrier has_left{2};
    Barrier goes_on{2};
    bool comes_back = false;
    bool ended = false;
    pthread_t thread{};
};

// ThreadSanitizer keeps four accesses to each eight bytes and lets chance decide which one goes, so that with one
// worker alone a race in its crowded thread state is missed in about one run of four. What all of them show is reported
// once.
constexpr std::size_t crowd = 8;
constexpr long long all_of_them = crowd;

static std::array<Worker, crowd> g_workers; // a global for the capsule's destructor, which is given nothing of ours

/// A plain pthread: a C++ frame that catches everything, as race() has, may not be unwound by pthread_exit.
static void* work(void* argument) {
    auto& worker = *static_cast<Worker*>(argument);
    const PyGILState_STATE state = PyGILState_Ensure();
    PyThreadState* const mine = worker.comes_back ? PyEval_SaveThread() : nullptr;
    if (!worker.comes_back) {
        PyGILState_Release(state);
    }
    worker.has_left.wait();
    worker.goes_on.wait();
    if (worker.comes_back) {
        PyEval_RestoreThread(mine); // never returns
    }
    return argument;
}

/// Called while the interpreter ends, with the workers still there.
static void let_workers_go_on(PyObject*) {
    for (auto& worker : g_workers) {
        worker.goes_on.wait();
    }
    timespec limit{};
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += latecomers_wait_for_ever && g_workers.front().comes_back ? 5 : 30;
    for (auto& worker : g_workers) {
        worker.ended = pthread_timedjoin_np(worker.thread, nullptr, &limit) == 0;
    }
}

/// Start the workers one after the other, and end the interpreter while they live.
static void finalize_beside_workers(Context& context, bool come_back) {
    {
        const Interpreter python(context);
        py::import_module("__main__").attr("last") =
            py::steal<py::object>(PyCapsule_New(&g_workers, nullptr, let_workers_go_on));
        const py::gil_scoped_release meanwhile;
        for (auto& worker : g_workers) {
            worker.comes_back = come_back;
            if (pthread_create(&worker.thread, nullptr, work, &worker) != 0) {
                throw std::runtime_error("no thread");
            }
            worker.has_left.wait();
        }
    }
    const auto ended = std::count_if(g_workers.begin(), g_workers.end(), [](const Worker& one) { return one.ended; });
    context.value("workers_ended", static_cast<long long>(ended));
}

// Its thread state is freed meanwhile, with nothing to order that after its use: gh-124878. Up to 3.12 the eval
// breaker, which a thread looks at after it has let the GIL go, was the interpreter's and not the thread state's.
SCENARIO(worker_comes_back_too_late,
         "defects",
         "Workers ask for the GIL again while the interpreter ends: CPython lets them go no further.",
         .defect({"write", "atomic read"})
             .clean_before(0x030D0000)
             .expect_value("workers_ended", latecomers_wait_for_ever ? 0LL : all_of_them)
             .defects_without_gil({{"write", "read"}, {"write", "read"}})
             .expect_value("workers_ended", latecomers_wait_for_ever ? 0LL : all_of_them)
             .twin("worker_stays_away")
             .full_lane_only()) {
    finalize_beside_workers(context, true);
}

SCENARIO(worker_stays_away,
         "lifecycle",
         "Workers that have given their thread states back outlive the interpreter and end by themselves.",
         .clean().twin("worker_comes_back_too_late").expect_value("workers_ended", all_of_them)) {
    finalize_beside_workers(context, false);
}

// https://github.com/numpy/numpy/issues/8097, https://github.com/numpy/numpy/issues/28271
SCENARIO(numpy_imported_again,
         "lifecycle",
         "numpy is imported, the interpreter ended and started again, and numpy imported once more.",
         .error("cannot load module more than once per process|CPU dispatcher tracer already", "main")
             .twin("initialize_finalize")
             .needs("numpy")
             .deadline(120)) {
    for (unsigned cycle = 0; cycle < 2; ++cycle) {
        const Interpreter python(context);
        py::import_module("numpy");
    }
}

} // namespace python_tsan
