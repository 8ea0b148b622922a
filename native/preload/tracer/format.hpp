// The file that a traced process writes while it runs; python_tsan/gil/spool.py reads it.
//
// It is mapped, so that its content survives the process, however that ends. Every part is allocated before it is
// written to: a full disk cannot stop the program. Counts are increased after the counted rows are written, so that a
// reader never sees a partial row.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace gil_tracer {

constexpr char magic[8] = {'P', 'T', 'G', 'I', 'L', 'R', 'A', 'W'};
constexpr std::uint32_t format_version = 1;
constexpr std::uint64_t header_bytes = 8192;
constexpr std::uint64_t chunk_bytes = 32768;

/// How a thread released or acquired the GIL. `internal` is without an interceptable call: the eval breaker forced a
/// switch, or the thread ended.
enum class GilCall : std::uint8_t { none, save_restore, acquire_release, gil_state, swap, deleted, internal };

/// One release and the acquisition that followed it in the same thread. Times are of CLOCK_MONOTONIC in nanoseconds;
/// 0 if absent: a thread's first acquisition follows no release, and no acquisition follows its last release.
struct Event {
    std::uint64_t released;
    std::uint64_t requested;
    std::uint64_t acquired;
    std::uint64_t site; // return address of the call that released it
    std::uint32_t node; // innermost Python frame, 0 for none
    GilCall release_call;
    GilCall acquire_call;
    std::uint16_t reserved;
};
static_assert(sizeof(Event) == 40);

/// A Python function. Strings are offsets into the region of strings.
struct Code {
    std::uint32_t file;
    std::uint32_t name;
    std::uint32_t module; // for a module's body, the module's name; 0 otherwise
    std::uint32_t first_line;
};

/// A frame and its caller's node: equal stacks share one node. Node 0 is the empty stack.
struct Node {
    std::uint32_t parent;
    std::uint32_t code;
    std::int32_t offset; // of the instruction
    std::int32_t line;
    std::uint32_t module; // the module that this frame imports, 0 if none
};

/// A loaded program or library, by the addresses of its executable segment.
struct Object {
    std::uint64_t base;
    std::uint64_t first;
    std::uint64_t last;
    std::uint32_t path;
    std::uint32_t reserved;
};

struct Region {
    std::uint64_t offset;
    std::uint64_t bytes;
    std::atomic<std::uint64_t> used; // bytes
};

enum Flags : std::uint32_t { free_threaded = 1, sees_internal = 2 };

struct Header {
    char magic[8];
    std::uint32_t version;
    std::uint32_t flags;
    std::uint64_t file_bytes;
    std::uint64_t started;      // CLOCK_MONOTONIC, ns
    std::uint64_t started_unix; // CLOCK_REALTIME, ns
    std::uint32_t pid;
    std::uint32_t parent;
    std::uint32_t python; // Py_Version
    std::uint32_t chunk_count;
    Region strings, codes, nodes, objects, chunks;
    std::atomic<std::uint64_t> next_chunk;
    std::atomic<std::uint64_t> dropped;     // old events overwritten by new ones
    std::atomic<std::uint64_t> lost;        // new events that did not fit
    std::atomic<std::uint64_t> lost_stacks; // events whose stack did not fit
    char executable[4096];
};
static_assert(sizeof(Header) <= header_bytes);

enum ChunkState : std::uint32_t { chunk_free, chunk_active, chunk_full };

/// Some events of one thread, in order. A thread fills one chunk at a time.
struct Chunk {
    std::atomic<std::uint32_t> state;
    std::atomic<std::uint32_t> count;
    std::uint64_t sequence;
    std::uint32_t tid;
    std::uint32_t ordinal; // counts threads, because a tid can be reused
    char name[16];
    char reserved[24];

    static constexpr std::uint32_t capacity = (chunk_bytes - 64) / sizeof(Event);
    Event events[capacity];
};
static_assert(sizeof(Chunk) <= chunk_bytes);
static_assert(offsetof(Chunk, events) == 64);

} // namespace gil_tracer
