#include "capi_undone.hpp"

#include "capi.hpp"
#include "file.hpp"

namespace lock_recorder {

namespace {

enum class What : std::uint8_t { state, interpreter };

struct Made {
    const void* state;
    std::uint64_t place;  // the return address of the call
    std::uint32_t thread; // its row
    What what;
};

constexpr std::size_t most_made = 8192, most_inside = 4096;
Made made[most_made];
std::size_t made_count = 0;
Latch made_latch;

/// By the place of the thread's Live. Each thread writes its own only.
struct Inside {
    std::atomic<std::uint64_t> place;
    std::atomic<std::uint32_t> thread;
};
Inside all_inside[most_inside];

void add(What what, const void* state, std::uint64_t place) {
    const Latched latched(made_latch);
    if (made_count < most_made) {
        made[made_count++] = Made{state, place, self.thread, what};
    }
}

bool remove(What what, const void* state) {
    const Latched latched(made_latch);
    for (std::size_t i = made_count; i-- > 0;) {
        if (made[i].state == state && made[i].what == what) {
            made[i] = made[--made_count];
            return true;
        }
    }
    return false;
}

void report(Rule rule, const char* function, std::uint64_t place, std::uint32_t thread) {
    tables.lock();
    const auto native = intern_call_site(place);
    tables.unlock();
    record_misuse(Misused{rule, function, native, thread});
}

void report_made(const Made& one) {
    if (one.what == What::interpreter) {
        report(Rule::interpreter_never_ended, "Py_NewInterpreter", one.place, one.thread);
    } else if (one.thread != 0 && one.thread != self.thread) {
        const bool ended = rows<Thread>(Part::threads)[one.thread].ended != 0;
        report(ended ? Rule::never_deleted : Rule::inside_at_finalization, "PyThreadState_New", one.place, one.thread);
    }
}

} // namespace

void state_made(const void* state, std::uint64_t place) {
    add(What::state, state, place);
}

void state_deleted(const void* state) {
    remove(What::state, state);
}

void interpreter_made(const void* state, std::uint64_t place) {
    add(What::interpreter, state, place);
}

void interpreter_ended(const void* state) {
    remove(What::state, state); // it is deleted too
    if (remove(What::interpreter, state)) {
        return;
    }
    // By another thread state of the same interpreter: which one that is cannot be asked after the end.
    const Latched latched(made_latch);
    for (std::size_t i = made_count; i-- > 0;) {
        if (made[i].what == What::interpreter) {
            made[i] = made[--made_count];
            return;
        }
    }
}

void inside(std::uint64_t place) {
    const auto at = self.live == nullptr ? most_inside : static_cast<std::size_t>(self.live - rows<Live>(Part::live));
    if (at < most_inside) {
        all_inside[at].thread.store(self.thread, std::memory_order_relaxed);
        all_inside[at].place.store(place, std::memory_order_relaxed);
    }
}

void report_undone() {
    {
        const Latched latched(made_latch);
        for (std::size_t i = 0; i < made_count; ++i) {
            report_made(made[i]);
        }
    }
    for (auto& each : all_inside) {
        const auto place = each.place.load(std::memory_order_relaxed);
        const auto thread = each.thread.load(std::memory_order_relaxed);
        if (place != 0 && thread != self.thread && rows<Thread>(Part::threads)[thread].ended == 0) {
            report(Rule::inside_at_finalization, "PyGILState_Ensure", place, thread);
        }
    }
    forget_undone();
}

void forget_undone() {
    made_count = 0;
    for (auto& each : all_inside) {
        each.place.store(0, std::memory_order_relaxed);
    }
}

} // namespace lock_recorder
