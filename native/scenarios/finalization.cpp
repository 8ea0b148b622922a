// Threads that still exist when the interpreter is finalized. When such a thread asks for the GIL, CPython up to 3.13.7
// ends it with pthread_exit; from 3.13.8 on it blocks forever: https://github.com/python/cpython/issues/87135

#include "harness/scenario.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <pthread.h>
#include <stdexcept>

namespace python_tsan {

constexpr bool late_threads_block_forever = PY_VERSION_HEX >= 0x030D0800;

/// A thread that has used Python and detached, and the point at which it continues.
struct Worker {
    Barrier has_left{2};
    Barrier goes_on{2};
    bool comes_back = false;
    bool ended = false;
    pthread_t thread{};
};

// ThreadSanitizer keeps four accesses to each eight bytes and replaces one at random, so that with a single worker the
// race in its thread state is missed in about one run of four. The same race in all workers is reported once.
constexpr std::size_t crowd = 8;
constexpr long long all_of_them = crowd;

static std::array<Worker, crowd> g_workers; // global, because the capsule's destructor has no argument of ours

/// A plain pthread: pthread_exit must not unwind a C++ frame that catches everything, as race() has.
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

/// Called during finalization, while the workers still exist.
static void resume_workers(PyObject*) {
    for (auto& worker : g_workers) {
        worker.goes_on.wait();
    }
    timespec limit{};
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += late_threads_block_forever && g_workers.front().comes_back ? 5 : 30;
    for (auto& worker : g_workers) {
        worker.ended = pthread_timedjoin_np(worker.thread, nullptr, &limit) == 0;
    }
}

/// Start the workers in turn, and finalize the interpreter while they exist.
static void finalize_beside_workers(Context& context, bool come_back) {
    {
        const Interpreter python(context);
        py::import_module("__main__").attr("last") =
            py::steal<py::object>(PyCapsule_New(&g_workers, nullptr, resume_workers));
        const py::gil_scoped_release meanwhile;
        for (auto& worker : g_workers) {
            worker.comes_back = come_back;
            if (pthread_create(&worker.thread, nullptr, work, &worker) != 0) {
                throw std::runtime_error("a thread could not be started");
            }
            worker.has_left.wait();
        }
    }
    const auto ended = std::count_if(g_workers.begin(), g_workers.end(), [](const Worker& one) { return one.ended; });
    context.value("workers_ended", static_cast<long long>(ended));
}

// Their thread states are freed meanwhile, without synchronization with their use:
// https://github.com/python/cpython/issues/124878. Up to 3.12 the eval breaker, which a thread reads after it has
// released the GIL, belonged to the interpreter and not to the thread state. 3.14 counts references to thread states.
SCENARIO(worker_comes_back_too_late,
         "defects",
         "Workers ask for the GIL again during finalization: CPython ends or blocks them.",
         .defect({"write", "atomic read"})
             .clean_before(0x030D0000)
             .expect_value("workers_ended", late_threads_block_forever ? 0LL : all_of_them)
             .defects_without_gil({{"write", "read"}, {"write", "read"}})
             .expect_value("workers_ended", late_threads_block_forever ? 0LL : all_of_them)
             .clean_from(0x030E0000)
             .twin("worker_stays_away")
             .full_lane_only()) {
    finalize_beside_workers(context, true);
}

SCENARIO(worker_stays_away,
         "lifecycle",
         "Workers that have released their thread states outlive the interpreter and end by themselves.",
         .clean().twin("worker_comes_back_too_late").expect_value("workers_ended", all_of_them)) {
    finalize_beside_workers(context, false);
}

// Before 3.13 a join of one of Python's threads returns while that thread frees its thread state, with the allocator
// that finalization then replaces: https://github.com/python/cpython/issues/110829. 3.11 does not replace it while it
// runs.
// gcc's runtime reports it in 3 of 3 runs, clang's in none of 3.
#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000 && !defined(__clang__)
#define PYTHON_TSAN_JOINED_THREAD .defects({"write", "read"})
#else
#define PYTHON_TSAN_JOINED_THREAD .clean()
#endif

SCENARIO(python_thread_joined,
         "defects",
         "Threads of Python's threading are joined in turn, and then the interpreter is finalized.",
         PYTHON_TSAN_JOINED_THREAD.twin("worker_stays_away").full_lane_only()) {
    const Interpreter python(context);
    py::dict names;
    py::exec(R"(
import threading
for _ in range(8):  # several, as above: one access may be forgotten
    thread = threading.Thread(target=len, args=[()])
    thread.start()
    thread.join()
)",
             names);
}

// https://github.com/numpy/numpy/issues/8097, https://github.com/numpy/numpy/issues/28271
SCENARIO(numpy_imported_again,
         "lifecycle",
         "numpy is imported, the interpreter is finalized and initialized again, and numpy is imported again.",
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
