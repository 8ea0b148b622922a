// A thread that is still there when the interpreter ends. CPython ends it when it asks for the GIL, up to 3.13.7 by
// pthread_exit, and from 3.13.8 on by letting it wait for ever: https://github.com/python/cpython/issues/87135

#include "harness/scenario.hpp"

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

static Worker* g_worker = nullptr; // for the capsule's destructor, which is given nothing of ours

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

/// Called while the interpreter ends, with the worker still there.
static void let_worker_go_on(PyObject*) {
    g_worker->goes_on.wait();
    timespec limit{};
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += latecomers_wait_for_ever && g_worker->comes_back ? 2 : 30;
    g_worker->ended = pthread_timedjoin_np(g_worker->thread, nullptr, &limit) == 0;
}

/// Start the worker, and end the interpreter while it lives.
static void finalize_beside_worker(Context& context, bool comes_back) {
    static Worker worker;
    worker.comes_back = comes_back;
    g_worker = &worker;
    {
        const Interpreter python(context);
        py::module_::import("__main__").attr("last") =
            py::reinterpret_steal<py::object>(PyCapsule_New(&worker, nullptr, let_worker_go_on));
        const py::gil_scoped_release meanwhile;
        if (pthread_create(&worker.thread, nullptr, work, &worker) != 0) {
            throw std::runtime_error("no thread");
        }
        worker.has_left.wait();
    }
    context.value("worker_ended", worker.ended);
}

// Its thread state is freed meanwhile, with nothing to order that after its use: gh-124878. Up to 3.12 the eval
// breaker, which a thread looks at after it has let the GIL go, was the interpreter's and not the thread state's.
SCENARIO(worker_comes_back_too_late,
         "defects",
         "A worker asks for the GIL again while the interpreter ends: CPython lets it go no further.",
         .defect({"write", "atomic read"})
             .clean_before(0x030D0000)
             .expect_value("worker_ended", !latecomers_wait_for_ever)
             .defects_without_gil({{"write", "read"}, {"write", "read"}})
             .expect_value("worker_ended", !latecomers_wait_for_ever)
             .twin("worker_stays_away")
             .full_lane_only()) {
    finalize_beside_worker(context, true);
}

SCENARIO(worker_stays_away,
         "lifecycle",
         "A worker that has given its thread state back outlives the interpreter and ends by itself.",
         .clean().twin("worker_comes_back_too_late").expect_value("worker_ended", true)) {
    finalize_beside_worker(context, false);
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
        py::module_::import("numpy");
    }
}

} // namespace python_tsan
