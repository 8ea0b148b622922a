// python_tsan::InterpreterView and Attachment: native threads that come while the interpreter is finalized, or when it
// is gone. What happens to them without it: docs/late-threads.md

#include "harness/scenario.hpp"

#include <python_tsan/attach.hpp>

#include <optional>
#include <thread>

namespace python_tsan {

long long g_attachment_counter = 0;
long long g_unattached_counter = 0;

/// With a guard: a view makes one for each attachment, and from 3.15 on that takes a lock of the runtime, which would
/// order the turns of a build without a GIL.
static PYTHON_TSAN_NOINLINE void increment_in_attachment(const InterpreterGuard& guard) {
    const Attachment attached(guard);
    const long long seen = g_attachment_counter;
    keep_apart();
    g_attachment_counter = seen + 1;
}

static PYTHON_TSAN_NOINLINE void increment_before_attachment(const InterpreterView& view) {
    const long long seen = g_unattached_counter;
    keep_apart();
    g_unattached_counter = seen + 1;
    const Attachment too_late(view);
}

SCENARIO(attachment_guarded,
         "gil",
         "Every increment is made while the thread has an Attachment.",
         .clean().twin("attachment_late").race_without_gil("g_attachment_counter", "increment_in_attachment")) {
    const Interpreter python(context);
    const InterpreterGuard guard{InterpreterView()};
    const long long expected = race_guarded(context, [&] { increment_in_attachment(guard); });
    context.check("count", g_attachment_counter, expected);
}

SCENARIO(attachment_late,
         "gil",
         "Each thread increments first and attaches afterwards: counting the attached threads hides no race.",
         .race("g_unattached_counter", "increment_before_attachment").twin("attachment_guarded")) {
    const Interpreter python(context);
    const InterpreterView view;
    const auto job = [&] { increment_before_attachment(view); };
    take_turns_known(context, {job, job});
    context.check("count", g_unattached_counter, 2LL);
}

/// A thread that asks for Python when the barrier opens.
struct LateThread {
    Barrier goes_on{2};
    bool attached = true;
    std::thread thread;

    explicit LateThread(const InterpreterView& view)
        : thread([this, view] {
              goes_on.wait();
              attached = static_cast<bool>(Attachment(view));
          }) {}

    void let_go() {
        goes_on.wait();
        thread.join();
    }
};

/// Called by the destructor of a capsule that the interpreter destroys while it is finalized.
static void let_late_thread_go(PyObject* capsule) {
    static_cast<LateThread*>(PyCapsule_GetPointer(capsule, nullptr))->let_go();
}

SCENARIO(attachment_during_finalization,
         "lifecycle",
         "A thread that attaches while modules are destroyed is refused, and ends.",
         .clean().twin("worker_comes_back_too_late")) {
    std::optional<LateThread> late;
    {
        const Interpreter python(context);
        late.emplace(InterpreterView());
        py::import_module("__main__").attr("last") =
            py::steal<py::object>(PyCapsule_New(&*late, nullptr, let_late_thread_go));
    }
    context.check("attached", late->attached, false);
}

SCENARIO(attachment_after_finalization,
         "lifecycle",
         "A thread that attaches after the interpreter was finalized is refused, and ends.",
         .clean().twin("worker_comes_back_too_late")) {
    std::optional<LateThread> late;
    {
        const Interpreter python(context);
        late.emplace(InterpreterView());
    }
    late->let_go();
    context.check("attached", late->attached, false);
}

/// Starts when finalization has begun, uses Python repeatedly, and then gives its guard back.
static void work_while_finalizing(InterpreterGuard guard, Barrier& has_begun, long long& sum) {
    has_begun.wait();
    for (long long i = 0; i < 3; ++i) {
        const Attachment attached(guard);
        const py::gil_scoped_acquire within; // a binding's guard may be nested
        sum += py::cast<long long>(py::import_module("operator").attr("add")(i, i));
    }
}

SCENARIO(attachment_keeps_finalization_waiting,
         "lifecycle",
         "A thread with a guard uses Python after finalization has begun, which waits until the guard is gone.",
         .clean().twin("worker_comes_back_too_late")) {
    Barrier has_begun(2);
    long long sum = 0;
    std::thread worker;
    {
        const Interpreter python(context);
        const InterpreterView view;
        worker = std::thread(work_while_finalizing, InterpreterGuard(view), std::ref(has_begun), std::ref(sum));
        // Functions of atexit run in reverse order: this one before finalization waits.
        py::import_module("atexit").attr("register")(py::cpp_function([&has_begun] { has_begun.wait(); }));
    }
    worker.join();
    context.check("sum", sum, 6LL);
}

SCENARIO(attachment_nested,
         "lifecycle",
         "Attachments within each other, within a binding's guard, and in an interpreter that is started again.",
         .clean()) {
    long long attached = 0;
    for (unsigned cycle = 0; cycle < 2; ++cycle) {
        const Interpreter python(context);
        const InterpreterView view;
        race(context, {[&] {
                 const py::gil_scoped_acquire gil;
                 const Attachment outer(view);
                 const Attachment inner(view);
                 attached += (outer && inner && py::len(py::list()) == 0) ? 1 : 0;
             }});
    }
    context.check("attached", attached, 2LL);
}

} // namespace python_tsan
