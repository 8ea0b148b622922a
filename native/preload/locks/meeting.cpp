#include "meeting.hpp"

#include "file.hpp"
#include "python.hpp"

#include <time.h>

namespace lock_recorder {

bool meets = false;

namespace {

constexpr std::size_t most_places = 6;
constexpr std::uint32_t most_waits = 3; // at one place, so that a loop does not wait for ever
constexpr std::uint64_t most_stacks = 1 << 19;
constexpr std::uint64_t million = 1'000'000;
constexpr long pause_nanoseconds = million;
constexpr std::uint16_t looked = 1 << 15;

/// A return address, found anywhere on a stack; with an empty path, any stack.
struct Spot {
    std::uint64_t offset;
    char path[1024];
};

/// Where a thread requests a lock while it holds another one, and where it took that one.
struct Place {
    Kind wanted;
    Kind held;
    Spot second;
    Spot first;
    std::atomic<std::uint32_t> waits;
    std::atomic<std::uint32_t> early; // waits before its first lock
    Live* standing;                   // the thread that waits here now
    std::uint64_t address;            // of the lock that it requests
};

/// At the end of the file's header; python_tsan/locks/directed.py reads it.
struct Meeting {
    std::atomic<std::uint32_t> together;
    std::atomic<std::uint32_t> reached[most_places];
};
constexpr std::uint64_t meeting_bytes = 64;
static_assert(sizeof(Meeting) <= meeting_bytes && sizeof(Header) <= header_bytes - meeting_bytes);

Place places[most_places];
std::size_t count = 0;
std::size_t leader = most_places; // the one whose thread goes first; most_places: none
std::uint64_t patience = 0;
std::uint16_t* known; // by the row of a stack: a bit for each spot on it
std::atomic<bool> together{false};
Latch standing;

Meeting* meeting() {
    return reinterpret_cast<Meeting*>(reinterpret_cast<char*>(header) + header_bytes - meeting_bytes);
}

const char* read_number(const char* text, std::uint64_t& value) {
    for (value = 0; *text >= '0' && *text <= '9'; ++text) {
        value = value * 10 + static_cast<std::uint64_t>(*text - '0');
    }
    return *text == ' ' ? text + 1 : text;
}

const char* read_spot(const char* text, Spot& spot) {
    text = read_number(text, spot.offset);
    std::size_t length = 0;
    for (; *text != '\0' && *text != '\n'; ++text) {
        if (length + 1 < sizeof spot.path) {
            spot.path[length++] = *text;
        }
    }
    spot.path[length] = '\0';
    return *text == '\n' ? text + 1 : text;
}

bool is_at(const Spot& spot, const Frame& frame) {
    return frame.offset == spot.offset && frame.object != 0 &&
           same_text(rows<char>(Part::strings) + rows<Object>(Part::objects)[frame.object].path, spot.path);
}

/// The spots on a stack: bit 2 i for a place's second lock, bit 2 i + 1 for its first.
std::uint16_t spots_of(std::uint32_t stack) {
    if (stack < most_stacks && known[stack] != 0) {
        return known[stack];
    }
    std::uint16_t found = looked;
    for (auto row = stack; row != 0; row = rows<Frame>(Part::frames)[row].parent) {
        for (std::size_t i = 0; i < count; ++i) {
            const auto& frame = rows<Frame>(Part::frames)[row];
            const unsigned second = is_at(places[i].second, frame) ? 1 : 0,
                           first = is_at(places[i].first, frame) ? 2 : 0;
            found = static_cast<std::uint16_t>(found | (second | first) << 2 * i);
        }
    }
    if (stack < most_stacks) {
        known[stack] = found;
    }
    return found;
}

bool has_holder(Kind kind) {
    return kind != Kind::condition && kind != Kind::futex && kind != Kind::semaphore && kind != Kind::thread;
}

bool holds(const Live& live, Kind kind, std::uint64_t address = 0) {
    for (std::uint32_t i = 0; i < live.held_count; ++i) {
        if (live.held[i].kind == kind && (address == 0 || live.held[i].address == address)) {
            return true;
        }
    }
    return false;
}

/// Whether a thread waits at each place, and holds what the one before it requests.
bool is_closed() {
    for (std::size_t i = 0; i < count; ++i) {
        const auto &one = places[i], &next = places[(i + 1) % count];
        if (one.standing == nullptr || next.standing == nullptr || one.standing == next.standing) {
            return false;
        }
        if (has_holder(next.held) && !holds(*next.standing, next.held, one.address)) {
            return false;
        }
    }
    return true;
}

void pause() {
    const timespec time = {0, pause_nanoseconds};
    raw_call(SYS_nanosleep, as_long(&time), 0);
}

template <typename Done>
void wait_until(std::uint64_t nanoseconds, Done done) {
    const auto end = raw_monotonic() + nanoseconds;
    while (!together.load() && !done() && raw_monotonic() < end) {
        pause();
    }
}

/// Releases the GIL for as long as it exists, by functions of CPython.
class Released {
public:
    using Save = void* (*)();
    using Restore = void (*)(void*);

    explicit Released(bool really) {
        Loaded python{};
        if (really && find_object(python_first, python)) {
            const auto save = reinterpret_cast<Save>(exported(python, "PyEval_SaveThread", true));
            restore_ = reinterpret_cast<Restore>(exported(python, "PyEval_RestoreThread", true));
            state_ = save == nullptr || restore_ == nullptr ? nullptr : save();
        }
    }
    ~Released() {
        if (state_ != nullptr) {
            restore_(state_);
        }
    }
    Released(const Released&) = delete;
    Released& operator=(const Released&) = delete;

private:
    Restore restore_ = nullptr;
    void* state_ = nullptr;
};

bool stand(std::size_t number, const What& what) {
    auto& place = places[number];
    meeting()->reached[number].fetch_add(1);
    {
        const Latched latched(standing);
        if (place.standing != nullptr || place.waits.load() >= most_waits) {
            return false;
        }
        place.waits.fetch_add(1);
        place.standing = self.live;
        place.address = what.address;
        if (is_closed()) {
            together.store(true);
            meeting()->together.store(1);
        }
    }
    {
        // Another thread may need the GIL before it comes to its place. CPython releases it for a lock of its own.
        const bool detaches = self.holds_gil && is_of_python_code(what.kind);
        const bool keeps_gil = self.holds_gil && !detaches && number != leader;
        const Released released(detaches);
        wait_until(keeps_gil ? patience / 6 : patience, [] { return false; });
    }
    const Latched latched(standing);
    if (!together.load()) {
        place.standing = nullptr;
    }
    return true;
}

bool is_second(std::size_t number, Kind kind, std::uint16_t spots) {
    const auto& place = places[number];
    const bool here = place.second.path[0] == '\0' || (spots >> 2 * number & 1) != 0;
    return kind == place.wanted && here && (!has_holder(place.held) || holds(*self.live, place.held));
}

} // namespace

void meeting_prepare() {
    const char* text = variable("PYTHON_TSAN_LOCKS_MEETING");
    if (text == nullptr) {
        return;
    }
    std::uint64_t number = 0;
    text = read_number(text, number);
    leader = number == 0 || number > most_places ? most_places : number - 1;
    text = read_number(text, number);
    patience = number * million;
    text += *text == '\n' ? 1 : 0;
    while (*text != '\0' && count < most_places) {
        auto& place = places[count++];
        text = read_number(text, number);
        place.wanted = static_cast<Kind>(number);
        text = read_number(text, number);
        place.held = static_cast<Kind>(number);
        text = read_spot(text, place.second);
        text = read_spot(text, place.first);
    }
    known = static_cast<std::uint16_t*>(raw_memory(most_stacks * sizeof *known));
    meets = count > 1 && known != nullptr;
}

bool meet(const What& what, const Site& site) {
    if (together.load(std::memory_order_relaxed)) {
        return false;
    }
    bool is_one = false;
    for (std::size_t i = 0; i < count; ++i) {
        is_one = is_one || places[i].wanted == what.kind || places[i].held == what.kind;
    }
    if (!is_one) {
        return false;
    }
    const auto spots = spots_of(native_stack(site));
    for (std::size_t i = 0; i < count; ++i) {
        if (is_second(i, what.kind, spots)) {
            return stand(i, what);
        }
    }
    if (leader == most_places) {
        return false;
    }
    for (std::size_t i = 0; i < count; ++i) {
        auto& place = places[i];
        const bool here = place.first.path[0] != '\0' && (spots >> 2 * i & 2) != 0;
        if (i != leader && place.held == what.kind && here && place.early.fetch_add(1) < most_waits) {
            wait_until(patience / 2,
                       [] { return __atomic_load_n(&places[leader].standing, __ATOMIC_ACQUIRE) != nullptr; });
            return true;
        }
    }
    return false;
}

void meet_in_call(const Site& site) {
    if (together.load(std::memory_order_relaxed) || self.live == nullptr) {
        return;
    }
    self.busy = true;
    const auto spots = spots_of(native_stack(site));
    bool here = false;
    for (std::size_t i = 0; i < count; ++i) {
        here = here || (places[i].waits.load() < most_waits && places[i].second.path[0] != '\0' &&
                        is_second(i, Kind::gil, spots));
    }
    self.busy = false;
    const Released released(here);
}

} // namespace lock_recorder
