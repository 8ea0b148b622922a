#include "recording.hpp"

#include "python.hpp"
#include "spool.hpp"
#include "stacks.hpp"
#include "thread.hpp"
#include "unseen.hpp"

#include <cerrno>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace gil_tracer {

__thread Thread me;

namespace {

std::atomic<std::uint64_t> generation{1}; // increased in a child of fork
std::atomic<std::uint32_t> thread_count{0};
pthread_key_t at_thread_end;
bool sees_all_releases = false;

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
    header->python = traced.version;
    header->flags = (traced.free_threaded ? free_threaded : 0U) | (sees_all_releases ? sees_internal : 0U);
}

} // namespace

void start_recording(bool sees_all) {
    sees_all_releases = sees_all;
    pthread_key_create(&at_thread_end, end_thread);
}

void note_release(GilCall call, const void* site, bool with_stack, std::uint64_t at) {
    const ErrnoKept kept;
    if (me.state == State::released) {
        return;
    }
    me.state = State::released;
    me.pending = nullptr;
    const Unseen unseen;
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
        node = capture_stack(header, traced);
        me.capturing = false;
        me.state = State::released; // even if reading the frames has run other code
    }
    if (auto* event = next_event(header)) {
        *event = Event{at == 0 ? monotonic() : at, 0, 0, address, node, call, GilCall::none, 0};
        me.pending = event;
        publish();
    }
}

void note_acquired(GilCall call, std::uint64_t requested) {
    const ErrnoKept kept;
    if (me.state == State::holding) {
        return;
    }
    me.state = State::holding;
    const Unseen unseen;
    const auto now = monotonic();
    auto* header = spool();
    if (header == nullptr) {
        return;
    }
    if (me.pending != nullptr && me.generation == generation.load(std::memory_order_relaxed)) {
        me.pending->requested = requested;
        me.pending->acquire_call = call;
        __atomic_store_n(&me.pending->acquired, now, __ATOMIC_RELEASE);
    } else if (auto* event = next_event(header)) {
        *event = Event{0, requested, now, 0, 0, GilCall::none, call, 0};
        publish();
    }
    me.pending = nullptr;
}

void forget_recording() {
    generation.fetch_add(1);
    me.pending = nullptr;
    me.last_site = 0;
    me.state = State::unknown; // Python creates the GIL again and acquires it
}

} // namespace gil_tracer
