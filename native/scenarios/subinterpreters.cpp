// Interpreters with their own GIL do not exclude each other: threads in two sub-interpreters, through CPython's API.
// https://docs.python.org/3/c-api/init.html#a-per-interpreter-gil (PEP 684, from 3.12)

#include "harness/scenario.hpp"

#include <deque>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace python_tsan {

long long g_own_gil_counter = 0;
long long g_shared_gil_counter = 0;
long long g_not_swapped_counter = 0;
long long g_swapped_counter = 0;

#if PY_VERSION_HEX >= 0x030C0000

/// A sub-interpreter, created and ended by the thread that holds the main interpreter's GIL.
class SubInterpreter {
public:
    explicit SubInterpreter(bool own_gil) : main_(PyThreadState_Get()) {
        PyInterpreterConfig config{};
        config.use_main_obmalloc = own_gil ? 0 : 1;
        config.allow_threads = 1;
        config.check_multi_interp_extensions = 1;
        config.gil = own_gil ? PyInterpreterConfig_OWN_GIL : PyInterpreterConfig_SHARED_GIL;
        const PyStatus status = Py_NewInterpreterFromConfig(&state_, &config);
        if (PyStatus_Exception(status) != 0) {
            throw std::runtime_error(std::string("the sub-interpreter could not be created: ") + status.err_msg);
        }
        PyThreadState_Swap(main_);
    }
    ~SubInterpreter() {
        PyThreadState_Swap(state_);
        Py_EndInterpreter(state_);
        PyThreadState_Swap(main_);
    }
    SubInterpreter(const SubInterpreter&) = delete;
    SubInterpreter& operator=(const SubInterpreter&) = delete;

    PyInterpreterState* get() const { return PyThreadState_GetInterpreter(state_); }

private:
    PyThreadState* main_;
    PyThreadState* state_ = nullptr;
};

/// The calling thread's thread state in an interpreter, attached only between enter and leave.
class Guest {
public:
    explicit Guest(PyInterpreterState* interpreter) : state_(PyThreadState_New(interpreter)) {}
    ~Guest() {
        enter();
        PyThreadState_Clear(state_);
        PyThreadState_DeleteCurrent();
    }
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

    void enter() { PyEval_RestoreThread(state_); }
    void leave() { PyEval_SaveThread(); }
    /// Attach to this interpreter instead of the current one, and return the previous thread state.
    PyThreadState* swap_to() { return PyThreadState_Swap(state_); }

private:
    PyThreadState* state_;
};

/// T1 and T2, each a guest of its interpreters, take turns. Thread states are created before the first turn and deleted
/// after the last, because both take a lock of the runtime, which would order the turns.
static void take_turns_as_guests(Context& context,
                                 const std::vector<std::vector<PyInterpreterState*>>& interpreters,
                                 const std::vector<std::function<void(std::deque<Guest>&)>>& turns) {
    Barrier turn_over(static_cast<unsigned>(turns.size()));
    std::vector<std::function<void()>> jobs;
    for (std::size_t mine = 0; mine < turns.size(); ++mine) {
        jobs.emplace_back([&, mine] {
            std::deque<Guest> guests;
            for (auto* interpreter : interpreters[mine]) {
                guests.emplace_back(interpreter);
            }
            turn_over.wait();
            for (std::size_t turn = 0; turn < turns.size(); ++turn) {
                if (turn == mine) {
                    turns[mine](guests);
                }
                turn_over.wait();
            }
        });
    }
    race(context, jobs);
}

static PYTHON_TSAN_NOINLINE void increment(long long& counter) {
    const long long seen = counter;
    keep_apart();
    counter = seen + 1;
}

static void increment_as_guest(long long& counter, Guest& guest) {
    guest.enter();
    increment(counter);
    guest.leave();
}

/// Each thread counts in its own sub-interpreter.
static void count_in_two(Context& context, bool own_gil, long long& counter) {
    const Interpreter python(context);
    const SubInterpreter one(own_gil), other(own_gil);
    const auto count = [&](std::deque<Guest>& guests) { increment_as_guest(counter, guests.front()); };
    take_turns_as_guests(context, {{one.get()}, {other.get()}}, {count, count});
    context.check("count", counter, 2LL);
}

/// T1 counts in one interpreter; T2 is in another, and swaps to the first one's to count there, if `swapped`.
static void count_across(Context& context, bool swapped, long long& counter) {
    const Interpreter python(context);
    const SubInterpreter one(true), other(true);
    const auto at_home = [&](std::deque<Guest>& guests) { increment_as_guest(counter, guests.front()); };
    const auto abroad = [&](std::deque<Guest>& guests) {
        guests[0].enter();
        PyThreadState* const before = swapped ? guests[1].swap_to() : PyThreadState_Get();
        increment(counter);
        PyThreadState_Swap(before);
        guests[0].leave();
    };
    take_turns_as_guests(context, {{one.get()}, {other.get(), one.get()}}, {at_home, abroad});
    context.check("count", counter, 2LL);
}

#else

static void count_in_two(Context&, bool, long long&) {
    throw std::logic_error("before 3.12 all sub-interpreters share one GIL");
}

static void count_across(Context&, bool, long long&) {
    throw std::logic_error("before 3.12 all sub-interpreters share one GIL");
}

#endif

SCENARIO(own_gil,
         "subinterpreters",
         "Two threads count, each in a sub-interpreter with its own GIL: they hold two different locks.",
         .race("g_own_gil_counter", "increment").twin("shared_gil").needs("own_gil")) {
    count_in_two(context, true, g_own_gil_counter);
}

SCENARIO(shared_gil,
         "subinterpreters",
         "The same threads in sub-interpreters that share the main interpreter's GIL.",
         .clean().twin("own_gil").needs("own_gil").race_without_gil("g_shared_gil_counter", "increment")) {
    count_in_two(context, false, g_shared_gil_counter);
}

SCENARIO(state_not_swapped,
         "subinterpreters",
         "T1 counts in its sub-interpreter, T2 in another one, each with that interpreter's GIL.",
         .race("g_not_swapped_counter", "increment").twin("state_swapped").needs("own_gil")) {
    count_across(context, false, g_not_swapped_counter);
}

SCENARIO(state_swapped,
         "subinterpreters",
         "T2 swaps its thread state for one of T1's sub-interpreter before it counts, so that it holds the same GIL.",
         .clean().twin("state_not_swapped").needs("own_gil").race_without_gil("g_swapped_counter", "increment")) {
    count_across(context, true, g_swapped_counter);
}

} // namespace python_tsan
