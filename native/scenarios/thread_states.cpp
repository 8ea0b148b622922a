// Embedders that create thread states with CPython's API instead of a binding's. A thread may use Python only while its
// thread state is attached: from PyEval_RestoreThread to PyEval_SaveThread.
// https://docs.python.org/3/c-api/init.html#low-level-api

#include "harness/scenario.hpp"

namespace python_tsan {

long long g_attached_counter = 0;
long long g_detached_counter = 0;
long long g_guarded_within_counter = 0;

/// A thread state of the main interpreter for the calling thread, not attached.
class OwnState {
public:
    OwnState() : state_(PyThreadState_New(PyInterpreterState_Main())) {}
    ~OwnState() {
        PyEval_RestoreThread(state_);
        PyThreadState_Clear(state_);
        PyThreadState_DeleteCurrent();
    }
    OwnState(const OwnState&) = delete;
    OwnState& operator=(const OwnState&) = delete;

    void attach() { PyEval_RestoreThread(state_); }
    static void detach() { PyEval_SaveThread(); }

private:
    PyThreadState* state_;
};

static PYTHON_TSAN_NOINLINE void increment_attached(OwnState& mine) {
    mine.attach();
    const long long seen = g_attached_counter;
    keep_apart();
    g_attached_counter = seen + 1;
    OwnState::detach();
}

static PYTHON_TSAN_NOINLINE void increment_detached(OwnState& mine) {
    mine.attach();
    OwnState::detach();
    const long long seen = g_detached_counter;
    keep_apart();
    g_detached_counter = seen + 1;
}

/// Each thread creates a thread state and runs `job` with it, in turn. States are created before the first turn and
/// deleted after the last, because both take a lock of the runtime, which would order the turns.
static void take_turns_with_states(Context& context, void (*job)(OwnState&)) {
    Barrier turn_over(2);
    const auto work = [&](unsigned mine) {
        OwnState state;
        turn_over.wait();
        for (unsigned turn = 0; turn < 2; ++turn) {
            if (turn == mine) {
                job(state);
            }
            turn_over.wait();
        }
    };
    race(context, {[&] { work(0); }, [&] { work(1); }});
}

SCENARIO(thread_state_attached,
         "gil",
         "Threads with explicit thread states increment between PyEval_RestoreThread and PyEval_SaveThread.",
         .clean().race_without_gil("g_attached_counter", "increment_attached").twin("thread_state_detached")) {
    const Interpreter python(context);
    take_turns_with_states(context, increment_attached);
    context.check("count", g_attached_counter, 2LL);
}

// The GIL orders what each thread does before it releases it. The increment follows the release and is not ordered.
SCENARIO(thread_state_detached,
         "gil",
         "The same threads increment after they have released the GIL: a thread state alone does not hold it.",
         .race("g_detached_counter", "increment_detached").twin("thread_state_attached")) {
    const Interpreter python(context);
    take_turns_with_states(context, increment_detached);
    context.check("count", g_detached_counter, 2LL);
}

static PYTHON_TSAN_NOINLINE void increment_guarded_within(OwnState& mine) {
    mine.attach();
    {
        const py::gil_scoped_acquire gil;
        const long long seen = g_guarded_within_counter;
        keep_apart();
        g_guarded_within_counter = seen + 1;
    }
    OwnState::detach();
}

SCENARIO(
    guard_within_thread_state,
    "gil",
    "A binding's gil_scoped_acquire inside an explicit thread state: it uses the existing one and keeps it.",
    .clean().race_without_gil("g_guarded_within_counter", "increment_guarded_within").twin("thread_state_detached")) {
    const Interpreter python(context);
    take_turns_with_states(context, increment_guarded_within);
    context.check("count", g_guarded_within_counter, 2LL);
}

} // namespace python_tsan
