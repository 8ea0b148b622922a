#include "python_locks.hpp"

#include "../common/table.hpp"
#include "file.hpp"
#include "hooks.hpp"
#include "locks.hpp"
#include "python.hpp"
#include "record.hpp"
#include "threads.hpp"

#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <utility>

namespace lock_recorder {

namespace {

using Function = void* (*)(void*, void*, void*, void*, void*);

/// PyMethodDef, and the bits of its flags that say how arguments are passed (methodobject.h).
struct MethodDef {
    const char* name;
    Function function;
    int flags;
    const char* doc;
};
constexpr int fast_call = 0x80, longest_flags = 0x400;

enum class Owner : std::uint8_t { lock, rlock, import };
enum class Method : std::uint8_t { none, acquire, enter, release, exit, restore, save, reset };

struct Slot {
    Function real;
    int flags;
    Owner owner;
    Method method;
};

constexpr std::size_t most_slots = 24;
Slot slots[most_slots];
std::size_t slot_count = 0;

constexpr struct {
    const char* name;
    Method method;
} methods[] = {
    {"acquire", Method::acquire},          {"acquire_lock", Method::acquire},
    {"release", Method::release},          {"release_lock", Method::release},
    {"__enter__", Method::enter},          {"__exit__", Method::exit},
    {"_acquire_restore", Method::restore}, {"_release_save", Method::save},
    {"_at_fork_reinit", Method::reset},    {"locked", Method::none},
    {"locked_lock", Method::none},         {"_is_owned", Method::none},
    {"_recursion_count", Method::none},
};

/// The functions of CPython that read arguments and attributes. The caller holds the GIL, or is attached.
struct Api {
    std::int64_t (*tuple_size)(void*);
    void* (*tuple_item)(void*, std::int64_t);
    void* (*dict_item)(void*, const char*);
    int (*is_true)(void*);
    double (*as_double)(void*);
    void* (*error)();
    void (*clear)();
    void* (*attribute)(void*, const char*);
    unsigned long (*as_unsigned)(void*);
    void (*decrement)(void*);
    const void *true_object, *none_object;
};
Api api;

template <typename Member>
bool find(Member& member, const Loaded& object, const char* name) {
    member = reinterpret_cast<Member>(exported(object, name));
    return member != nullptr;
}

bool find_api(const Loaded& object) {
    return find(api.tuple_size, object, "PyTuple_Size") && find(api.tuple_item, object, "PyTuple_GetItem") &&
           find(api.dict_item, object, "PyDict_GetItemString") && find(api.is_true, object, "PyObject_IsTrue") &&
           find(api.as_double, object, "PyFloat_AsDouble") && find(api.error, object, "PyErr_Occurred") &&
           find(api.clear, object, "PyErr_Clear") && find(api.attribute, object, "PyObject_GetAttrString") &&
           find(api.as_unsigned, object, "PyLong_AsUnsignedLong") && find(api.decrement, object, "Py_DecRef") &&
           find(api.true_object, object, "_Py_TrueStruct") && find(api.none_object, object, "_Py_NoneStruct");
}

// --- the objects ---------------------------------------------------------------------------------------------------

/// Offsets in PyObject and PyTypeObject: they differ only without a GIL (object.h).
struct ObjectLayout {
    std::uint64_t type, name, dealloc;
};
constexpr ObjectLayout with_gil = {8, 24, 48}, without_gil = {24, 40, 64};
const ObjectLayout* layout = &with_gil;

using Dealloc = void (*)(void*);
Dealloc real_dealloc[2];

template <typename Value>
Value& field(void* object, std::uint64_t offset) {
    return *reinterpret_cast<Value*>(static_cast<char*>(object) + offset);
}

std::uint64_t address_of(const void* object) {
    return reinterpret_cast<std::uint64_t>(object);
}

/// The key of a lock of Python code as a signal: to take it is another thing than to wait for its release.
std::uint64_t signal_key(std::uint64_t address) {
    return address | 1;
}

template <std::size_t owner>
void dealloc(void* object) {
    if (self.live != nullptr && !self.busy) {
        self.busy = true;
        released(address_of(object));
        lock_gone(address_of(object));
        lock_gone(signal_key(address_of(object)));
        self.busy = false;
    }
    real_dealloc[owner](object);
}
constexpr Dealloc deallocs[] = {dealloc<0>, dealloc<1>};

/// See its objects end: the next lock at the address is another one.
void follow_type(void* object, Owner owner) {
    const auto number = static_cast<std::size_t>(owner);
    void* type = field<void*>(object, layout->type);
    auto& function = field<Dealloc>(type, layout->dealloc);
    if (function == deallocs[number] || (real_dealloc[number] != nullptr && function != real_dealloc[number])) {
        return; // already, or a class that is derived from it
    }
    if (same_text(field<const char*>(type, layout->name), owner == Owner::lock ? "_thread.lock" : "_thread.RLock")) {
        real_dealloc[number] = function;
        __atomic_store_n(&function, deallocs[number], __ATOMIC_RELEASE);
    }
}

// --- arguments -------------------------------------------------------------------------------------------------------

struct Arguments {
    void *a, *b, *c;
};

/// An argument by position or keyword, null if it was not given.
void* argument(const Slot& slot, const Arguments& given, std::int64_t position, const char* name) {
    if ((slot.flags & fast_call) == 0) {
        if (given.a != nullptr && position < api.tuple_size(given.a)) {
            return api.tuple_item(given.a, position);
        }
        return given.b == nullptr ? nullptr : api.dict_item(given.b, name);
    }
    auto* const* values = static_cast<void**>(given.a);
    const auto count = static_cast<std::int64_t>(address_of(given.b));
    if (position < count) {
        return values[position];
    }
    const auto names = given.c == nullptr ? 0 : api.tuple_size(given.c);
    for (std::int64_t i = 0; i < names; ++i) {
        if (python_text_is(api.tuple_item(given.c, i), name)) {
            return values[count + i];
        }
    }
    return nullptr;
}

struct How {
    bool blocks;
    bool timed;
};

How how_of(const Slot& slot, const Arguments& given) {
    if (slot.method != Method::acquire || slot.owner == Owner::import) {
        return {true, false};
    }
    How how = {true, false};
    if (void* blocking = argument(slot, given, 0, "blocking")) {
        how.blocks = api.is_true(blocking) != 0;
    }
    if (void* timeout = argument(slot, given, 1, "timeout")) {
        how.timed = api.as_double(timeout) >= 0;
    }
    if (api.error() != nullptr) {
        api.clear(); // the call itself raises it again
    }
    return how;
}

// --- what the calls do -----------------------------------------------------------------------------------------------

// No address of a program is that high.
constexpr std::uint64_t made_up = std::uint64_t{1} << 62;

/// Each interpreter with a GIL of its own has its own modules.
std::uint64_t key_of_interpreter() {
    return made_up | (mix(self.last_gil, 1) & 0xffff) << 40;
}

/// The lock of a module, which is a Python object for a moment only, by the module's name.
What module_lock(void* object) {
    void* name = api.attribute(object, "name");
    const auto text = name == nullptr ? 0 : python_text(name);
    if (name == nullptr) {
        api.clear();
    } else {
        api.decrement(name);
    }
    return What{module_key(key_of_interpreter(), text), Kind::module, Mode::write, Callee::import, false};
}

bool owns_module_lock(void* object) {
    void* owner = api.attribute(object, "owner");
    if (owner == nullptr) {
        api.clear();
        return false;
    }
    const bool mine = owner != api.none_object && api.as_unsigned(owner) == static_cast<unsigned long>(pthread_self());
    api.decrement(owner);
    return mine;
}

/// importlib's own lock of a module is taken and released under another one, by whose calls it is seen.
void in_module_lock(Method method, FrameRole role, void* object, const Site& site) {
    if (role == FrameRole::acquires_module && method == Method::enter) {
        const auto what = module_lock(object);
        request(what, site, lock_owner(what.address) != 0, held_at(what.address) != nullptr);
    } else if (role == FrameRole::acquires_module && method == Method::exit) {
        if (owns_module_lock(object)) {
            requested();
            acquired_again(module_lock(object), site);
        }
    } else if (role == FrameRole::releases_module && method == Method::exit) {
        released(module_lock(object).address);
    }
}

bool is_acquiring(Method method) {
    return method == Method::acquire || method == Method::enter || method == Method::restore;
}

void released_by_call(const Slot& slot, std::uint64_t address, const Site& site) {
    auto* held = held_at(address);
    if (slot.method == Method::save && held != nullptr) {
        self.saved_depth = held->depth;
        held->depth = 1;
    }
    if (!released(address)) {
        if (slot.owner == Owner::lock && lock_owner(address) != 0) {
            wake(signal_key(address), Kind::condition, site); // another thread's: it was a signal
        }
        lock_released(address);
    }
}

void acquired_by_call(const Slot& slot, const What& what, const Site& site) {
    auto* held = held_at(what.address);
    acquired_again(what, site);
    if (slot.method == Method::restore && held == nullptr) {
        if (auto* now = held_at(what.address)) {
            now->depth = self.saved_depth == 0 ? 1 : self.saved_depth;
        }
        self.saved_depth = 0;
    }
}

bool has_acquired(const Slot& slot, const void* result) {
    // A method without a choice returns None.
    return slot.method == Method::restore || slot.owner == Owner::import ? result != nullptr
                                                                         : result == api.true_object;
}

/// What the call acquires or releases, by the lock's object.
What what_of(const Slot& slot, void* object, bool timed) {
    if (slot.owner == Owner::import) {
        return What{key_of_interpreter(), Kind::import, Mode::write, Callee::import, false};
    }
    if (const auto thread = thread_ended_by(address_of(object))) {
        return What{key_of_end(thread), Kind::thread, Mode::write, Callee::join, timed};
    }
    return What{address_of(object), Kind::python, Mode::write, Callee::python, timed};
}

/// Before the real call. Returns whether there is something to record after it.
bool before(const Slot& slot, const What& what, bool blocks, void* object, const Site& site) {
    if (is_acquiring(slot.method)) {
        if (blocks) {
            const bool is_taken = lock_owner(what.address) != 0, mine = held_at(what.address) != nullptr;
            self.waits_for_signal = mine && slot.owner == Owner::lock;
            if (self.waits_for_signal) { // which another thread gives by releasing the lock
                released(what.address);
                lock_taken(what.address);
                const auto key = signal_key(what.address);
                const bool alone = self.live->held_count == (self.holds_gil ? 1U : 0U);
                request(What{key, Kind::condition, Mode::write, what.callee, what.timed}, site, true, alone);
            } else {
                request(what, site, is_taken, mine);
            }
        }
        return true;
    }
    released_by_call(slot, slot.owner == Owner::import ? what.address : address_of(object), site);
    if (slot.method == Method::reset) {
        lock_gone(address_of(object));
    }
    return false;
}

void after(const Slot& slot, const What& what, const void* result, const Site& site) {
    requested();
    const bool was_signal = self.waits_for_signal;
    self.waits_for_signal = false;
    if (was_signal) {
        forget_way();
        acquired(what, site); // even if nobody has released it: then it is still this thread's
        return;
    }
    if (!has_acquired(slot, result)) {
        if (what.timed) {
            tried(what, site);
        }
        return;
    }
    if (what.kind == Kind::thread) {
        threads_joined(static_cast<std::uint32_t>(what.address));
    } else {
        acquired_by_call(slot, what, site);
    }
}

/// Recorded as a call of an attached thread, whose Python frames are read.
class Attached {
public:
    Attached() { self.attached = true; }
    ~Attached() {
        self.attached = false;
        leave();
    }
    Attached(const Attached&) = delete;
    Attached& operator=(const Attached&) = delete;
};

void* call(const Slot& slot, void* object, void* a, void* b, void* c, void* d, Site site) {
    if (!enter(site)) {
        return slot.real(object, a, b, c, d);
    }
    What what{};
    bool more = false;
    {
        const Attached attached;
        const auto frame = python_frame();
        site.where = frame.instruction;
        if (slot.owner != Owner::import) {
            follow_type(object, slot.owner);
        }
        if (frame.role == FrameRole::begins_thread) {
            lock_ends_thread(address_of(object));
        } else if (frame.role == FrameRole::acquires_module || frame.role == FrameRole::releases_module) {
            in_module_lock(slot.method, frame.role, frame.first_argument, site);
        } else if (frame.role == FrameRole::none) {
            const auto how = how_of(slot, Arguments{a, b, c});
            what = what_of(slot, object, how.timed);
            more = before(slot, what, how.blocks, object, site);
        }
    }
    void* result = slot.real(object, a, b, c, d);
    if (more && enter_again()) {
        const Attached attached;
        after(slot, what, result, site);
    }
    return result;
}

template <std::size_t number>
void* method(void* object, void* a, void* b, void* c, void* d) {
    const Site site = {reinterpret_cast<std::uint64_t>(__builtin_return_address(0)),
                       reinterpret_cast<std::uint64_t>(__builtin_dwarf_cfa()),
                       *static_cast<std::uint64_t*>(__builtin_frame_address(0)), 0};
    return call(slots[number], object, a, b, c, d, site);
}

template <std::size_t... numbers>
Function method_of(std::size_t number, std::index_sequence<numbers...>) {
    constexpr Function all[] = {method<numbers>...};
    return all[number];
}

// --- the tables ------------------------------------------------------------------------------------------------------

/// The parts of an object that are in memory, by the headers at its start.
class Parts {
public:
    explicit Parts(const Loaded& object) : base_(object.base) {
        const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(object.first);
        if (object.first != 0 && begins_with(reinterpret_cast<const char*>(header->e_ident), ELFMAG)) {
            parts_ = reinterpret_cast<const ElfW(Phdr)*>(object.first + header->e_phoff);
            count_ = header->e_phnum;
        }
    }

    bool contains(std::uint64_t address, std::uint32_t flags) const {
        for (std::size_t i = 0; i < count_; ++i) {
            const auto& part = parts_[i];
            const auto first = base_ + part.p_vaddr;
            if (part.p_type == PT_LOAD && (part.p_flags & flags) == flags && address >= first &&
                address + sizeof(MethodDef) <= first + part.p_memsz) {
                return true;
            }
        }
        return false;
    }

    template <typename Visit>
    void each_writable(Visit visit) const {
        for (std::size_t i = 0; i < count_; ++i) {
            const auto& part = parts_[i];
            if (part.p_type == PT_LOAD && (part.p_flags & PF_W) != 0) {
                const auto first = (base_ + part.p_vaddr + 7) & ~std::uint64_t{7};
                // What has no file behind it is zero at the start.
                visit(first, base_ + part.p_vaddr + part.p_filesz);
            }
        }
    }

    bool is_method(const MethodDef* entry) const {
        return entry->flags > 0 && entry->flags < longest_flags && contains(address_of(entry->name), PF_R) &&
               contains(reinterpret_cast<std::uint64_t>(entry->function), PF_X);
    }

private:
    std::uint64_t base_;
    const ElfW(Phdr) * parts_ = nullptr;
    std::size_t count_ = 0;
};

/// -1 for a name that neither kind of lock has.
int method_named(const char* name) {
    for (const auto& each : methods) {
        if (same_text(each.name, name)) {
            return static_cast<int>(each.method);
        }
    }
    return -1;
}

void replace(MethodDef* entry, Owner owner, Method method) {
    constexpr std::uint64_t page = 4096;
    if (method == Method::none || slot_count == most_slots) {
        return;
    }
    const auto first = address_of(entry) & ~(page - 1), last = (address_of(entry + 1) + page - 1) & ~(page - 1);
    if (raw_call(SYS_mprotect, static_cast<long>(first), static_cast<long>(last - first), PROT_READ | PROT_WRITE) !=
        0) {
        return;
    }
    slots[slot_count] = Slot{entry->function, entry->flags, owner, method};
    const auto replaced = method_of(slot_count++, std::make_index_sequence<most_slots>());
    __atomic_store_n(&entry->function, replaced, __ATOMIC_RELEASE);
}

/// Replace the methods of the table that contains this entry.
void replace_table(const Parts& parts, MethodDef* entry, Owner owner) {
    while (parts.is_method(entry - 1) && method_named(entry[-1].name) >= 0) {
        --entry;
    }
    for (; parts.is_method(entry); ++entry) {
        if (const int known = method_named(entry->name); known >= 0) {
            replace(entry, owner, static_cast<Method>(known));
        }
    }
}

void look_at(const Parts& parts, MethodDef* entry) {
    if (same_text(entry->name, "_release_save")) {
        replace_table(parts, entry, Owner::rlock);
    } else if (same_text(entry->name, "locked_lock")) {
        replace_table(parts, entry, Owner::lock);
    } else if (same_text(entry->name, "lock_held") && parts.is_method(entry + 1) && parts.is_method(entry + 2)) {
        replace(entry + 1, Owner::import, Method::acquire);
        replace(entry + 2, Owner::import, Method::release);
    }
}

} // namespace

void python_locks_redirect(const Loaded& object) {
    if (slot_count != 0 || !find_api(object)) {
        return;
    }
    const bool has_gil = exported(object, "PyUnstable_Module_SetGIL") == nullptr; // by free-threaded builds only
    layout = has_gil ? &with_gil : &without_gil;
    const Parts parts(object);
    parts.each_writable([&](std::uint64_t first, std::uint64_t last) {
        for (auto at = first; at + sizeof(MethodDef) <= last; at += sizeof(void*)) {
            auto* entry = reinterpret_cast<MethodDef*>(at);
            if (parts.is_method(entry)) {
                look_at(parts, entry);
            }
        }
    });
}

} // namespace lock_recorder
