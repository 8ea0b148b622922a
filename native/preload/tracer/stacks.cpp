#include "stacks.hpp"

#include "codes.hpp"
#include "nodes.hpp"
#include "objects.hpp"
#include "spool.hpp"
#include "strings.hpp"
#include "walk.hpp"

#include <sched.h>

namespace gil_tracer {

namespace {

// One lock for all tables. With a GIL it is not contended, because the GIL's holder captures the stack. Without one,
// the wait is short, unless the lock's holder has lost its processor; the others then yield theirs. The wait has a
// limit: a missing stack is better than a hanging program.
std::atomic_flag busy = ATOMIC_FLAG_INIT;
constexpr int spins = 1 << 10;
constexpr std::uint64_t patience = 200'000'000; // ns
Header* owner = nullptr;                        // of the tables
bool can_keep = false;

class Locked {
public:
    Locked() {
        for (int i = 0; i < spins && !held; ++i) {
            held = !busy.test_and_set(std::memory_order_acquire);
        }
        for (const auto end = held ? 0 : monotonic() + patience; !held && monotonic() < end;) {
            sched_yield();
            held = !busy.test_and_set(std::memory_order_acquire);
        }
    }
    ~Locked() {
        if (held) {
            busy.clear(std::memory_order_release);
        }
    }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

    bool held = false;
};

/// Up to 3.11 creating a frame object may run the garbage collector, and with it any finalizer.
class CollectorOff {
public:
    explicit CollectorOff(const Python& python) : python_(python) {
        was_on_ = python_.version < first_deferred && python_.collector_off() != 0;
    }
    ~CollectorOff() {
        if (was_on_) {
            python_.collector_on();
        }
    }
    CollectorOff(const CollectorOff&) = delete;
    CollectorOff& operator=(const CollectorOff&) = delete;

private:
    static constexpr std::uint32_t first_deferred = 0x030C0000;
    const Python& python_;
    bool was_on_ = false;
};

void prepare(Header* header) {
    if (owner == header) {
        return;
    }
    owner = header;
    prepare_strings();
    prepare_nodes();
    can_keep = prepare_codes(header);
}

} // namespace

std::uint32_t capture_stack(Header* header, const Python& python) {
    Frame frames[deepest];
    const Locked locked;
    const CollectorOff off(python);
    int count = -1;
    if (locked.held) {
        prepare(header);
        const bool blind = !can_keep || (python.free_threaded && !python.has_table);
        count = blind ? -1 : python.has_table ? walk_by_table(header, python, frames) : walk(header, python, frames);
    }
    // Without the lock, the tables must not be touched.
    const auto node = count > 0 ? intern_stack(header, python, frames, count) : 0;
    if (count != 0 && node == 0) {
        header->lost_stacks.fetch_add(1, std::memory_order_relaxed);
    }
    return node;
}

void capture_object(Header* header, std::uint64_t address) {
    const Locked locked;
    if (locked.held) {
        prepare(header);
        record_object(header, address, intern_string);
    }
}

void forget_stacks() {
    busy.clear();
    owner = nullptr;
    forget_strings();
    forget_codes();
    forget_nodes();
}

} // namespace gil_tracer
