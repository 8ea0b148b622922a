// The file in which a process leaves what its threads did with locks; python_tsan/locks/trace.py reads it.
//
// It is mapped, so that its content survives the process, however that ends, and can be read while the process hangs.
// Rows refer to rows by number, and row 0 stands for "none". A count is increased after the counted row is written.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace preload {}

namespace lock_recorder {

using namespace preload;

constexpr char magic[8] = {'P', 'T', 'L', 'O', 'C', 'K', 'S', '\n'};
constexpr std::uint32_t format_version = 5;
constexpr std::uint64_t header_bytes = 8192;

/// The order is that of KINDS in python_tsan/locks/trace.py.
enum class Kind : std::uint8_t {
    none,
    gil,
    mutex,
    rwlock,
    spin,
    once,
    guard,
    condition,
    futex,
    semaphore,
    thread,
    python,
    module,
    import,
    file,
    stream,
    thread_lock,
    barrier
};
enum class Mode : std::uint8_t { write, read };

/// The call that waits or acquires, by the order of CALLEES in python_tsan/locks/trace.py.
enum class Callee : std::uint8_t {
    none,
    gil,
    mutex_lock,
    mutex_timedlock,
    rwlock_rdlock,
    rwlock_wrlock,
    spin_lock,
    once,
    guard,
    cond_wait,
    cond_timedwait,
    join,
    sem_wait,
    sem_timedwait,
    futex,
    python,
    import,
    flock,
    flockfile,
    semop,
    semtimedop,
    thread_lock,
    barrier
};

/// A loaded program or library.
struct Object {
    std::uint64_t base;
    std::uint64_t first;
    std::uint64_t last;
    std::uint32_t path;
    std::uint32_t is_python;
};

/// A native frame and its caller's row: equal stacks share one row. The offset is that of a return address.
struct Frame {
    std::uint32_t parent;
    std::uint32_t object;
    std::uint64_t offset;
};

/// A Python frame, in the same way.
struct PythonFrame {
    std::uint32_t parent;
    std::uint32_t function;
    std::uint32_t file;
    std::int32_t line;
};

struct Stack {
    std::uint32_t native;
    std::uint32_t python;
};

struct Lock {
    std::uint64_t address;
    std::uint64_t offset; // in its object, if it has static storage
    std::uint32_t object;
    std::uint32_t thread; // of a thread that is joined
    Stack created;        // where it was initialised, or first seen
    Kind kind;
    std::uint8_t recursive;
    std::uint8_t detaches; // CPython detaches the thread state for the wait, which it does not for others of the kind
    std::uint8_t waits_for_writers; // a reader waits behind a writer that waits for other readers
    std::uint32_t name;             // a text, 0 for none
};

struct Thread {
    std::uint64_t handle; // pthread_t
    std::uint32_t tid;
    std::uint32_t parent;
    Stack created;
    std::uint32_t tail; // its last segment, or the one in which it was created
    std::uint32_t ended;
    char name[16];
    std::uint32_t last_way; // the context of what it took since it began or last waited for a signal, when it ended
    std::uint32_t last_way_known; // 0 if that is not known, or is more than is remembered
};

/// A part of a thread's life, between its creations and joins of others. Both earlier ones happened before it.
struct Segment {
    std::uint32_t thread;
    std::uint32_t previous;
    std::uint32_t other;
    std::uint32_t reserved;
};

/// A held lock above those of the parent row: equal sequences of held locks share one row.
struct HeldLocks {
    std::uint32_t parent;
    std::uint32_t lock;
    Stack taken;
    Mode mode;
    std::uint8_t reserved[7];
};

struct Request {
    std::uint32_t thread;
    std::uint32_t segment;
    std::uint32_t context;
    std::uint32_t lock;
    Stack stack;
    std::uint64_t site;
    std::uint64_t count;
    Mode mode;
    std::uint8_t timed;
    std::uint8_t weak; // a call may make it, which holds the lock now: it may release it and request it again
    std::uint8_t reserved[5];
};

/// A call that wakes those who wait. The context has the locks that the thread took on its way there.
struct Wake {
    std::uint32_t thread;
    std::uint32_t segment;
    std::uint32_t context;
    std::uint32_t lock;
    Stack stack;
};

/// The waits of one call that were made with the GIL held, in nanoseconds.
struct Wait {
    Stack stack;
    std::uint32_t lock;
    Callee callee;
    std::uint8_t reserved[3];
    std::uint64_t count;
    std::uint64_t total;
    std::uint64_t longest;
    std::uint64_t others;
};

/// One of these waits, if it was long enough to be seen in a picture. Times are of CLOCK_MONOTONIC in nanoseconds.
struct Moment {
    std::uint64_t begun;
    std::uint64_t length;
    std::uint32_t wait;
    std::uint32_t thread;
    std::uint32_t others; // threads that waited for the GIL at its end
    std::uint32_t reserved;
};

/// Why a call of the C API is against its contract, by the order of RULES in python_tsan/locks/trace.py.
enum class Rule : std::uint8_t {
    none,
    not_initialized,
    after_finalization,
    no_thread_state,
    gil_not_held,
    ended_attached,
    never_released,
    never_deleted,
    attached_twice,
    unmatched_release,
    interpreter_never_ended,
    inside_at_finalization,
    other_interpreter,
    error_set,
    error_lost,
    borrowed_kept
};

/// Calls of one place that are against the C API's contract. `last` is what the thread last did with its thread state.
struct Misuse {
    std::uint32_t thread;
    std::uint32_t function; // a text
    Stack stack;
    std::uint32_t last;       // a text, 0 for nothing
    std::uint32_t last_place; // a native stack
    std::uint64_t count;
    Rule rule;
    std::uint8_t of_thread; // the variable that refers to the object has thread storage
    std::uint8_t reserved[2];
    std::uint32_t object; // that contains the variable, 0 for none
    std::uint64_t offset;
};

struct Held {
    std::uint64_t address;
    std::uint64_t descriptor; // of a locked file
    Stack taken;
    std::uint32_t lock;    // 0 until something is requested above it
    std::uint32_t context; // likewise
    std::uint16_t depth;   // of a recursive lock
    Kind kind;
    Mode mode;
    std::uint8_t inherited; // by a child of fork
    std::uint8_t reserved[3];
};

constexpr std::uint32_t most_held = 32;

/// What a living thread holds and waits for. Only its own thread writes to it.
struct Live {
    std::atomic<std::uint32_t> used;
    std::uint32_t thread;
    std::uint32_t held_count;
    std::uint32_t reserved;
    std::uint64_t events;
    std::uint64_t wanted; // address; 0 when it waits for nothing
    std::uint64_t site;
    std::uint64_t since; // when its wait with the GIL held began, 0 for none
    Stack stack;
    Kind kind;
    Mode mode;
    Callee callee;
    std::uint8_t padding[5];
    Held held[most_held];
};

struct Region {
    std::uint64_t offset;
    std::uint64_t bytes;
    std::atomic<std::uint64_t> used; // bytes
};

enum Flags : std::uint32_t {
    sees_python = 1,
    knows_gil = 2,
    free_threaded = 4,
    ended = 8,
    forked = 16,
    checks_calls = 32,
    hides_once = 64
};

/// What could not be recorded, by the order of LOST in python_tsan/locks/trace.py.
enum class Lost : std::uint8_t {
    locks,
    threads,
    segments,
    requests,
    stacks,
    held,
    wakes,
    waits,
    gils,
    functions,
    misuses,
    pythons,
    slots,
    late_objects,
    count
};

enum class Part : std::uint8_t {
    strings,
    objects,
    frames,
    python_frames,
    locks,
    threads,
    segments,
    contexts,
    requests,
    wakes,
    waits,
    moments,
    misuses,
    live,
    count
};

struct Header {
    char magic[8];
    std::uint32_t version;
    std::uint32_t pid;
    std::uint32_t parent;
    std::atomic<std::uint32_t> flags;
    std::uint32_t python; // Py_Version
    std::uint32_t reserved;
    std::atomic<std::uint64_t> events;
    Region parts[static_cast<std::size_t>(Part::count)];
    std::atomic<std::uint64_t> lost[static_cast<std::size_t>(Lost::count)];
    char executable[4096];
};
static_assert(sizeof(Header) <= header_bytes);
static_assert(sizeof(Object) == 32 && sizeof(Frame) == 16 && sizeof(PythonFrame) == 16 && sizeof(Lock) == 40);
static_assert(sizeof(Thread) == 56 && sizeof(Segment) == 16 && sizeof(HeldLocks) == 24 && sizeof(Request) == 48);
static_assert(sizeof(Wake) == 24 && sizeof(Wait) == 48 && sizeof(Moment) == 32 && sizeof(Held) == 40 &&
              sizeof(Misuse) == 48 && sizeof(Live) == 64 + 40 * most_held);

} // namespace lock_recorder
