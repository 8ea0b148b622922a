// Stands between libpython, its extensions, and the functions by which a thread lets go of the GIL or takes it.
//
// Works where those calls go through the procedure linkage table. Where they do not, says so and leaves the process
// alone. What the interpreter does without a call that can be seen (the eval breaker making a thread give way, a thread
// that ends) is known from the GIL's own mutex: every drop and every take locks it once. The first mutex that libpython
// locks inside PyEval_SaveThread is that one, and libpython's calls of pthread_mutex_lock are redirected to watch it.

#include "objects.hpp"
#include "python.hpp"
#include "spool.hpp"
#include "stacks.hpp"

#include <cerrno>
#include <cstdlib>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRACER_EXPORT __attribute__((visibility("default")))

namespace gil_tracer {

namespace {

enum class State : std::uint8_t { unknown, holding, released };

struct Thread {
    Chunk* chunk;
    Event* pending; // released and not yet taken back; always in `chunk`
    std::uint64_t requested;
    std::uint64_t dropped; // when the GIL's mutex was last locked by a holder inside a call
    std::uint64_t generation;
    const void* outer; // caller of PyGILState_*, under which PyEval_* are called
    std::uint64_t last_site;
    std::uint32_t ordinal;
    int inside; // calls of functions below that are under way
    State state;
    bool taking; // outside of any call
    bool capturing;
};

[[gnu::tls_model("initial-exec")]] thread_local Thread me;

Python python;
std::atomic<bool> ready{false};
std::atomic<std::uint64_t> generation{1}; // raised in a child of fork
std::atomic<std::uint32_t> thread_count{0};
std::atomic<bool> learning{false};
pthread_key_t at_thread_end;

constexpr std::size_t most_gils = 8; // one for each interpreter that has its own; of further ones nothing is seen here
std::atomic<pthread_mutex_t*> gil_mutexes[most_gils];
int (*real_lock)(pthread_mutex_t*) = nullptr;
int (*real_unlock)(pthread_mutex_t*) = nullptr;

class ErrnoKept {
public:
    ErrnoKept() : value_(errno) {}
    ~ErrnoKept() { errno = value_; }
    ErrnoKept(const ErrnoKept&) = delete;
    ErrnoKept& operator=(const ErrnoKept&) = delete;

private:
    int value_;
};

void end_thread(void*) {
    if (me.chunk != nullptr && me.generation == generation.load(std::memory_order_relaxed)) {
        me.chunk->state.store(chunk_full, std::memory_order_release);
    }
    me.chunk = nullptr;
    me.pending = nullptr;
}

Event* next_event(Header* header) {
    const auto now = generation.load(std::memory_order_relaxed);
    if (me.generation != now) {
        me.generation = now;
        me.chunk = nullptr;
        me.ordinal = thread_count.fetch_add(1, std::memory_order_relaxed);
        pthread_setspecific(at_thread_end, &me);
    }
    if (me.chunk == nullptr || me.chunk->count.load(std::memory_order_relaxed) == Chunk::capacity) {
        auto* full = me.chunk;
        me.chunk = spool_chunk(header);
        if (full != nullptr) {
            full->state.store(chunk_full, std::memory_order_release);
        }
        if (me.chunk == nullptr) {
            header->lost.fetch_add(1, std::memory_order_relaxed);
            return nullptr;
        }
        me.chunk->tid = static_cast<std::uint32_t>(syscall(SYS_gettid));
        me.chunk->ordinal = me.ordinal;
        prctl(PR_GET_NAME, me.chunk->name);
    }
    return &me.chunk->events[me.chunk->count.load(std::memory_order_relaxed)];
}

void publish() {
    me.chunk->count.fetch_add(1, std::memory_order_release);
}

void fill_header(Header* header) {
    header->python = python.version;
    header->flags = (python.free_threaded ? free_threaded : 0U) | (real_lock != nullptr ? sees_internal : 0U);
}

/// The calling thread is about to let go, or did so at the time `at`. `with_stack`: it is attached, so that its frames
/// can be read.
void note_release(Way way, const void* site, bool with_stack, std::uint64_t at = 0) {
    const ErrnoKept kept;
    if (me.state == State::released) {
        return;
    }
    me.state = State::released;
    me.pending = nullptr;
    auto* header = spool();
    if (header == nullptr) {
        return;
    }
    if (header->python == 0) {
        fill_header(header);
    }
    const auto address = reinterpret_cast<std::uint64_t>(site);
    if (address != me.last_site) {
        me.last_site = address;
        capture_object(header, address);
    }
    std::uint32_t node = 0;
    if (with_stack && !me.capturing) {
        me.capturing = true;
        node = capture_stack(header, python);
        me.capturing = false;
        me.state = State::released; // whatever the walk has let run
    }
    if (auto* event = next_event(header)) {
        *event = Event{at == 0 ? monotonic() : at, 0, 0, address, node, way, Way::none, 0};
        me.pending = event;
        publish();
    }
}

/// The calling thread holds the GIL again, or for the first time.
void note_acquired(Way way, std::uint64_t requested) {
    const ErrnoKept kept;
    if (me.state == State::holding) {
        return;
    }
    me.state = State::holding;
    const auto now = monotonic();
    auto* header = spool();
    if (header == nullptr) {
        return;
    }
    if (me.pending != nullptr && me.generation == generation.load(std::memory_order_relaxed)) {
        me.pending->requested = requested;
        me.pending->acquire_way = way;
        __atomic_store_n(&me.pending->acquired, now, __ATOMIC_RELEASE);
    } else if (auto* event = next_event(header)) {
        *event = Event{0, requested, now, 0, 0, Way::none, way, 0};
        publish();
    }
    me.pending = nullptr;
}

bool is_gil(const pthread_mutex_t* mutex) {
    for (const auto& known : gil_mutexes) {
        const auto* one = known.load(std::memory_order_relaxed);
        if (one == mutex) {
            return true;
        }
        if (one == nullptr) {
            return false;
        }
    }
    return false;
}

void learn(pthread_mutex_t* mutex) {
    for (auto& known : gil_mutexes) {
        pthread_mutex_t* nobody = nullptr;
        if (known.compare_exchange_strong(nobody, mutex) || nobody == mutex) {
            return;
        }
    }
}

[[gnu::tls_model("initial-exec")]] thread_local bool saving = false; // in PyEval_SaveThread, no mutex locked yet

int watch_lock(pthread_mutex_t* mutex) {
    if (saving) {
        saving = false;
        learn(mutex);
    }
    const int result = real_lock(mutex);
    if (is_gil(mutex)) {
        if (me.inside > 0) {
            me.dropped = me.state == State::holding ? monotonic() : 0;
        } else if (me.state == State::holding) {
            note_release(Way::internal, __builtin_return_address(0), false);
        } else if (!me.taking) {
            me.taking = true;
            me.requested = monotonic();
        }
    }
    return result;
}

int watch_unlock(pthread_mutex_t* mutex) {
    const int result = real_unlock(mutex);
    if (me.taking && me.inside == 0 && is_gil(mutex)) {
        me.taking = false;
        note_acquired(Way::internal, me.requested);
    }
    return result;
}

void forked() {
    generation.fetch_add(1);
    spool_forget();
    forget_stacks();
    me.pending = nullptr;
    me.last_site = 0;
    me.state = State::unknown; // Python makes the GIL anew and takes it
}

const char* const seen_by = "PyEval_SaveThread";

/// Whether the program itself holds a Python: its definitions come before those of any library, this one included.
bool in_program() {
    const void* used = dlsym(RTLD_DEFAULT, seen_by);
    Dl_info theirs, ours;
    return used != nullptr && dladdr(used, &theirs) != 0 && dladdr(&ready, &ours) != 0 &&
           theirs.dli_fbase != ours.dli_fbase;
}

/// Look at the Python that is loaded; false where it cannot be traced.
bool attach_to_python() {
    const void* save = find_next(seen_by);
    if (in_program() || !calls_can_be_seen(save, seen_by)) {
        spool_tell("blind");
        const char* starter = std::getenv("PYTHON_TSAN_GIL_STARTER");
        if (starter != nullptr && std::atoi(starter) == getppid()) {
            _exit(EXIT_FAILURE); // before main: the one who asked for the trace hears why there can be none
        }
        return false;
    }
    if (!python.load()) {
        spool_tell("unknown");
        return false;
    }
    spool_tell("traced");
    pthread_key_create(&at_thread_end, end_thread);
    pthread_atfork(nullptr, nullptr, forked);
    real_lock = reinterpret_cast<decltype(real_lock)>(find_next("pthread_mutex_lock"));
    real_unlock = reinterpret_cast<decltype(real_unlock)>(find_next("pthread_mutex_unlock"));
    auto* unlock = redirect(save, "pthread_mutex_unlock", reinterpret_cast<void*>(watch_unlock));
    if (unlock != nullptr) {
        real_unlock = reinterpret_cast<decltype(real_unlock)>(unlock);
    }
    auto* lock = redirect(save, "pthread_mutex_lock", reinterpret_cast<void*>(watch_lock));
    real_lock = reinterpret_cast<decltype(real_lock)>(lock);
    return true;
}

std::atomic_flag attaching = ATOMIC_FLAG_INIT;

/// Whether events are recorded. The first call in a process looks for a Python; one may be loaded after the start.
bool tracing() {
    if (ready.load(std::memory_order_acquire)) {
        return true;
    }
    static const bool wanted = spool_wanted();
    if (wanted && (in_program() || find_next(seen_by) != nullptr) && !attaching.test_and_set()) {
        ready.store(attach_to_python(), std::memory_order_release);
    }
    return ready.load(std::memory_order_acquire);
}

[[gnu::constructor]] void start() {
    if (spool_wanted()) {
        spool_tell("loaded");
        tracing();
    }
}

/// Counts a call that is under way, also when the thread ends inside it, as it does during finalization.
class Inside {
public:
    Inside() { ++me.inside; }
    ~Inside() { --me.inside; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
};

/// The caller that a person would look for: pybind11 or an extension, rather than PyGILState_* itself.
const void* site(const void* caller) {
    return me.outer == nullptr ? caller : me.outer;
}

class Outer {
public:
    explicit Outer(const void* caller) : before_(me.outer) { me.outer = caller; }
    ~Outer() { me.outer = before_; }
    Outer(const Outer&) = delete;
    Outer& operator=(const Outer&) = delete;

private:
    const void* before_;
};

Way way_of(Way way) {
    return me.outer == nullptr ? way : Way::gil_state;
}

template <typename Function>
Function real(Function, const char* name) {
    return reinterpret_cast<Function>(find_next(name));
}

} // namespace

} // namespace gil_tracer

using namespace gil_tracer;

// The next definition of the function that is being replaced. It is there: somebody has called it.
#define REAL(function) static const auto next = real(&function, #function)

extern "C" {

TRACER_EXPORT _ts* PyEval_SaveThread() {
    REAL(PyEval_SaveThread);
    if (!tracing()) {
        return next();
    }
    const Inside inside;
    note_release(way_of(Way::save_restore), site(__builtin_return_address(0)), true);
    saving = true;
    _ts* result = next();
    saving = false;
    return result;
}

TRACER_EXPORT void PyEval_RestoreThread(_ts* state) {
    REAL(PyEval_RestoreThread);
    if (!tracing()) {
        return next(state);
    }
    const Inside inside;
    const auto requested = monotonic();
    next(state);
    note_acquired(way_of(Way::save_restore), requested);
}

TRACER_EXPORT void PyEval_ReleaseThread(_ts* state) {
    REAL(PyEval_ReleaseThread);
    if (!tracing()) {
        return next(state);
    }
    const Inside inside;
    note_release(Way::acquire_release, site(__builtin_return_address(0)), true);
    next(state);
}

TRACER_EXPORT void PyEval_AcquireThread(_ts* state) {
    REAL(PyEval_AcquireThread);
    if (!tracing()) {
        return next(state);
    }
    const Inside inside;
    const auto requested = monotonic();
    next(state);
    note_acquired(Way::acquire_release, requested);
}

TRACER_EXPORT int PyGILState_Ensure() {
    REAL(PyGILState_Ensure);
    if (!tracing()) {
        return next();
    }
    const Inside inside;
    const Outer outer(__builtin_return_address(0));
    return next();
}

TRACER_EXPORT void PyGILState_Release(int before) {
    REAL(PyGILState_Release);
    if (!tracing()) {
        return next(before);
    }
    const Inside inside;
    const Outer outer(__builtin_return_address(0));
    me.dropped = 0;
    next(before);
    const int unlocked = 1; // of PyGILState_STATE
    if (before == unlocked) {
        // Unless PyEval_SaveThread was called, the thread's state has been deleted, and that has let go.
        note_release(Way::gil_state, me.outer, false, me.dropped);
    }
}

TRACER_EXPORT void PyThreadState_DeleteCurrent() {
    REAL(PyThreadState_DeleteCurrent);
    if (!tracing()) {
        return next();
    }
    const Inside inside;
    note_release(Way::deleted, site(__builtin_return_address(0)), true);
    next();
}

TRACER_EXPORT _ts* PyThreadState_Swap(_ts* state) {
    REAL(PyThreadState_Swap);
    constexpr std::uint32_t first_that_lets_go = 0x030C0000; // up to 3.11 it changes the pointer and nothing else
    if (!tracing() || python.version < first_that_lets_go) {
        return next(state);
    }
    const Inside inside;
    if (me.state == State::holding) {
        note_release(Way::swap, site(__builtin_return_address(0)), true);
    }
    const auto requested = monotonic();
    _ts* result = next(state);
    if (state != nullptr) {
        note_acquired(Way::swap, requested);
    }
    return result;
}
}
