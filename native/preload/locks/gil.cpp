#include "gil.hpp"

#include "../common/table.hpp"
#include "capi.hpp"
#include "file.hpp"
#include "locks.hpp"
#include "objects.hpp"
#include "python.hpp"
#include "record.hpp"

namespace lock_recorder {

namespace {

constexpr std::uint64_t page = 4096;
constexpr std::size_t most_gils = 256; // one for each interpreter with a GIL of its own

std::atomic<std::uint64_t> gils[most_gils];
std::atomic<std::size_t> gil_count{0};

/// Whether the integer before the mutex can be read: it may be another program's two mutexes and a condition.
bool is_readable(std::uint64_t gil) {
    if (gil % page >= to_locked) {
        return true; // the mutex itself is on this page
    }
    unsigned char resident = 0;
    return raw_call(SYS_mincore, static_cast<long>((gil - to_locked) & ~(page - 1)), page, as_long(&resident)) == 0;
}

What wanted(std::uint64_t gil) {
    return What{gil, Kind::gil, Mode::write, Callee::gil, false};
}

/// Whether the call is of a free-threaded Python, which has a GIL only while it is switched on.
bool is_free_threaded(const Site& site) {
    Loaded object{};
    return find_object(site.pc, object) && exported(object, "PyUnstable_Module_SetGIL") != nullptr;
}

void learn(std::uint64_t gil) {
    const Latched latched(tables);
    const auto count = gil_count.load(std::memory_order_relaxed);
    auto place = count;
    for (std::size_t i = 0; i < count && place == count; ++i) {
        place = gils[i].load(std::memory_order_relaxed) == 0 ? i : place;
    }
    if (place == most_gils) {
        count_lost(Lost::gils);
        return;
    }
    gils[place].store(gil, std::memory_order_release);
    if (place == count) {
        gil_count.store(count + 1, std::memory_order_release);
    }
    lock_is_gil(gil);
    header->flags.fetch_or(knows_gil);
}

/// Functions of the C API that attach a thread state, and those that detach one.
constexpr const char* attaching[] = {"PyGILState_Ensure", "PyEval_RestoreThread", "PyEval_AcquireThread",
                                     "PyThreadState_Ensure"};
constexpr const char* detaching[] = {"PyGILState_Release", "PyEval_SaveThread", "PyEval_ReleaseThread",
                                     "PyThreadState_Release"};

template <std::size_t count>
bool is_one_of(const char* const (&names)[count], const char* name) {
    for (const char* each : names) {
        if (begins_with(name, each)) {
            return true;
        }
    }
    return false;
}

std::uint64_t key_of(std::uint64_t interpreter) {
    return attachment | (mix(interpreter, 1) & 0xffffff);
}

void attaches(std::uint64_t interpreter, const Site& site) {
    const auto what = wanted(key_of(interpreter));
    request(what, site, false);
    acquired(what, site);
    requested();
    self.last_gil = what.address;
}

void detaches() {
    released(self.last_gil);
}

} // namespace

bool follows_attachment = false;

std::uint64_t gil_of(std::uint64_t mutex) {
    const auto count = gil_count.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < count; ++i) {
        const auto gil = gils[i].load(std::memory_order_relaxed);
        if (gil != 0 && (mutex == gil || mutex == gil + to_switch_mutex)) {
            return gil;
        }
    }
    return 0;
}

bool is_gil_condition(std::uint64_t condition) {
    const auto count = gil_count.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < count; ++i) {
        const auto gil = gils[i].load(std::memory_order_relaxed);
        if (gil != 0 && (condition == gil - to_condition || condition == gil + to_switch_condition)) {
            return true;
        }
    }
    return false;
}

void gil_before_lock(std::uint64_t gil, std::uint64_t mutex, const Site& site) {
    if (mutex != gil || (self.holds_gil && held_at(gil) != nullptr)) {
        return; // its release, or a forced switch
    }
    if (!self.holds_gil) {
        self.last_gil = gil;
    }
    const bool blocks = gil_is_taken(gil);
    self.waits_for_gil = blocks;
    if (blocks) {
        gil_waiters.fetch_add(1, std::memory_order_relaxed);
    }
    request(wanted(gil), site, blocks);
}

void gil_waits(const Site& site) {
    if (self.gil != 0 && !self.holds_gil && !self.waits_for_gil) {
        self.waits_for_gil = true;
        gil_waiters.fetch_add(1, std::memory_order_relaxed);
        request(wanted(self.gil), site, true);
    }
}

void gil_after_lock(std::uint64_t gil, std::uint64_t mutex) {
    if (mutex == gil) {
        self.gil = gil;
        self.takes_gil = false;
    } else if (self.gil == gil) {
        self.takes_gil = true;
    }
}

void gil_before_unlock(std::uint64_t gil, std::uint64_t mutex, const Site& site) {
    if (mutex != gil) {
        return;
    }
    const bool held = self.holds_gil && held_at(gil) != nullptr;
    if (!held && self.waits_for_gil) {
        self.waits_for_gil = false;
        gil_waiters.fetch_sub(1, std::memory_order_relaxed);
    }
    if (!held && self.takes_gil && gil_is_taken(gil)) {
        acquired(wanted(gil), site);
        requested();
    } else if (held && !gil_is_taken(gil)) {
        released(gil);
    } else if (!held) {
        requested(); // given up, at finalization
    }
    self.gil = 0;
    self.takes_gil = false;
}

void suspect_lock(std::uint64_t mutex) {
    if (self.last_mutex != 0 && mutex == self.last_mutex + to_switch_mutex) {
        self.suspect = self.last_mutex;
        self.steps = 1;
    }
    self.last_mutex = mutex;
}

void suspect_signal(std::uint64_t condition) {
    if (self.suspect != 0 && self.steps == 1 && condition == self.suspect + to_switch_condition) {
        self.steps = 2;
    }
}

bool suspect_unlock(std::uint64_t mutex, const Site& site) {
    if (self.suspect == 0 || mutex == self.suspect + to_switch_mutex) {
        return false;
    }
    const bool is_gil = mutex == self.suspect && self.steps == 2 && is_readable(mutex) && gil_is_taken(mutex) &&
                        is_called_by(site, "PyEval_RestoreThread") && !is_free_threaded(site);
    self.suspect = 0;
    self.steps = 0;
    if (is_gil) {
        learn(mutex);
        capi_gil_known();
        self.last_gil = mutex;
        released(mutex); // it was held as a mutex
        acquired(wanted(mutex), site);
    }
    return is_gil;
}

void gil_gone(std::uint64_t mutex) {
    const auto gil = gil_of(mutex);
    if (gil != mutex || gil == 0) {
        return;
    }
    const auto count = gil_count.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < count; ++i) {
        if (gils[i].load(std::memory_order_relaxed) == gil) {
            gils[i].store(0, std::memory_order_release);
        }
    }
    released(gil);
    self.last_gil = 0;
}

void attachment_seen(const Site& site) {
    const auto interpreter = python_interpreter();
    if (self.holds_gil && (interpreter == 0 || key_of(interpreter) != self.last_gil)) {
        detaches();
    }
    if (interpreter != 0 && !self.holds_gil) {
        attaches(interpreter, site);
    }
}

void attachment_changes(const char* function, std::uint64_t argument, const Site& site) {
    const bool swap = same_text(function, "PyThreadState_Swap");
    const bool by_state = swap || begins_with(function, "PyEval_");
    if (self.holds_gil && (swap || is_one_of(detaching, function))) {
        detaches(); // as far as it stays attached, the next hook sees it
    }
    if (!self.holds_gil && (is_one_of(attaching, function) || (swap && argument != 0))) {
        attaches(python_interpreter_of(by_state ? argument : 0), site);
    }
}

void gils_again() {
    const auto count = gil_count.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < count; ++i) {
        if (const auto gil = gils[i].load(std::memory_order_relaxed)) {
            lock_is_gil(gil);
            header->flags.fetch_or(knows_gil | sees_python);
        }
    }
}

} // namespace lock_recorder
