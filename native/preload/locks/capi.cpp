#include "capi.hpp"

#include "../common/table.hpp"
#include "capi_stubs.hpp"
#include "contract.hpp"
#include "file.hpp"
#include "meeting.hpp"
#include "python.hpp"
#include "record.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>

namespace lock_recorder {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t call_slot = R_X86_64_JUMP_SLOT, data_slot = R_X86_64_GLOB_DAT;
#else
constexpr std::uint32_t call_slot = R_AARCH64_JUMP_SLOT, data_slot = R_AARCH64_GLOB_DAT;
#endif
constexpr std::uint64_t page = 4096;
constexpr int callers_shown = 24;
constexpr std::uint64_t most_misuses = 1 << 15;

/// A function that is redirected. Its number is that of its stub.
struct Function {
    const char* name; // in libpython's own table
    bool checked;     // needs an attached thread state
    bool quiet_if_null;
    bool action;      // changes which thread has the GIL
    bool runs_python; // may run Python code, which may release the GIL at any moment
};

Function functions[2 * most_stubs];
std::uint32_t quiet_used = 1, always_used = most_stubs; // 0 stands for none
Table by_address;
Table misuses;
std::atomic<std::uint32_t> loads{0}; // of objects, when the loaded ones were last looked at
std::uint32_t looking_loader = 0;    // the stub of dlsym

int (*each_object)(int (*)(dl_phdr_info*, std::size_t, void*), void*) = nullptr;

// The Python of this process. Nothing is checked in one that has none.
Loaded python{};
const void* (*current_state)() = nullptr;
int (*is_initialized)() = nullptr;
int (*is_finalizing)() = nullptr;
bool state_is_of_thread = false; // since 3.12; before, there is one for all threads
bool was_initialized = false;

template <std::size_t Count>
bool is_among(const char* const (&names)[Count], const char* name) {
    for (const char* each : names) {
        if (same_text(each, name)) {
            return true;
        }
    }
    return false;
}

bool begins_with(const char* text, const char* beginning) {
    while (*beginning != '\0' && *text == *beginning) {
        ++text;
        ++beginning;
    }
    return *beginning == '\0';
}

bool is_free(const char* name) {
    for (const char* prefix : free_prefixes) {
        if (begins_with(name, prefix)) {
            return true;
        }
    }
    return is_among(free_names, name);
}

constexpr const char* runs_python[] = {"PyRun_",          "PyObject_Call",   "PyObject_Vectorcall",
                                       "PyEval_EvalCode", "PyImport_Import", "PyImport_Exec"};

bool may_run_python(const char* name) {
    for (const char* beginning : runs_python) {
        if (begins_with(name, beginning)) {
            return true;
        }
    }
    return false;
}

bool needs_state(const char* name) {
    return begins_with(name, "Py") ? !is_free(name) : is_among(checked_private, name);
}

template <typename Result>
Result* python_function(const char* name, const char* earlier = nullptr) {
    void* found = exported(python, name);
    found = found == nullptr && earlier != nullptr ? exported(python, earlier) : found;
    return reinterpret_cast<Result*>(found);
}

void* real_finalize = nullptr;
void* real_finalize_ex = nullptr;
void* (*real_new_state)(void*) = nullptr;

/// A thread state that was made by PyThreadState_New and not deleted yet.
struct Made {
    const void* state;
    std::uint64_t place;  // the return address of the call
    std::uint32_t thread; // its row
};
constexpr std::size_t most_made = 8192;
Made made[most_made];
std::size_t made_count = 0;
Latch made_latch;

void state_made(const void* state, std::uint64_t place) {
    const Latched latched(made_latch);
    if (made_count < most_made) {
        made[made_count++] = Made{state, place, self.thread};
    }
}

void state_deleted(const void* state) {
    const Latched latched(made_latch);
    for (std::size_t i = made_count; i-- > 0;) {
        if (made[i].state == state) {
            made[i] = made[--made_count];
            return;
        }
    }
}

void record(Rule rule, const char* function, std::uint32_t native);

/// Before Python frees them: the thread states whose threads have ended.
void states_left() {
    const Latched latched(made_latch);
    for (std::size_t i = 0; i < made_count; ++i) {
        if (made[i].thread != 0 && rows<Thread>(Part::threads)[made[i].thread].ended != 0) {
            tables.lock();
            const auto native = intern_call_site(made[i].place);
            tables.unlock();
            record(Rule::never_deleted, "PyThreadState_New", native);
        }
    }
    made_count = 0;
}

/// CPython keeps the GIL for ever once it is finalized, and so would this thread.
void finalized() {
    if (!self.busy && self.live != nullptr && is_initialized() == 0) {
        self.busy = true;
        released(self.last_gil);
        self.busy = false;
    }
}

/// Called in place of PyThreadState_New; the stub has noted its caller.
void* new_state(void* interpreter) {
    const auto place = self.last_action_place;
    void* state = real_new_state(interpreter);
    if (state != nullptr) {
        state_made(state, place);
    }
    return state;
}

void finalizing() {
    if (!self.busy && self.live != nullptr) {
        self.busy = true;
        states_left();
        self.busy = false;
    }
}

void finalize() {
    finalizing();
    reinterpret_cast<void (*)()>(real_finalize)();
    finalized();
}

int finalize_ex() {
    finalizing();
    const int result = reinterpret_cast<int (*)()>(real_finalize_ex)();
    finalized();
    return result;
}

/// What a stub goes on to in place of a function, so that something can be done when it returns.
void* wrapped(const char* name, void* target) {
    if (same_text(name, "Py_Finalize")) {
        real_finalize = target;
        return reinterpret_cast<void*>(finalize);
    }
    if (same_text(name, "Py_FinalizeEx")) {
        real_finalize_ex = target;
        return reinterpret_cast<void*>(finalize_ex);
    }
    if (same_text(name, "PyThreadState_New")) {
        real_new_state = reinterpret_cast<void* (*)(void*)>(target);
        return reinterpret_cast<void*>(new_state);
    }
    return target;
}

/// The stub of a function, 0 if there is no room or it needs none.
std::uint32_t stub_of(const char* name, void* target) {
    const bool action = is_among(actions, name), checked = needs_state(name), runs = may_run_python(name);
    if (!action && !checked && !runs) {
        return 0;
    }
    const bool always = action || runs; // with the GIL held, too
    target = wrapped(name, target);
    const auto address = reinterpret_cast<std::uint64_t>(target);
    return by_address.find_or_make(
        mix(address, 0xca91), [&](std::uint32_t number) { return python_tsan_capi_targets[number] == target; },
        [&]() -> std::uint32_t {
            auto& used = always ? always_used : quiet_used;
            if (used % most_stubs == 0 && used != (always ? most_stubs : 0)) {
                count_lost(Lost::functions);
                return 0;
            }
            functions[used] = Function{name, checked, is_among(null_is_harmless, name), action, runs};
            python_tsan_capi_targets[used] = target;
            return used++;
        });
}

/// One look at the loaded objects. Those that an earlier one has seen come first, in the same order, unless one was
/// unloaded since then.
struct Round {
    std::uint64_t removals = 0;
    std::size_t seen = 0; // with Python known
    std::size_t at = 0;
    void* writable = nullptr; // the page that was made so last
};
Round round_now;

void write_slot(void** slot, void* value) {
    auto* first = reinterpret_cast<void*>(reinterpret_cast<std::uint64_t>(slot) & ~(page - 1));
    // After relocation the page may be read-only. It stays writable: others on it may be bound later.
    if (first == round_now.writable || raw_call(SYS_mprotect, as_long(first), page, PROT_READ | PROT_WRITE) == 0) {
        round_now.writable = first;
        __atomic_store_n(slot, value, __ATOMIC_RELEASE);
    }
}

/// The tables of an object that name what it calls elsewhere.
struct Calls {
    const ElfW(Sym) * symbols = nullptr;
    const char* names = nullptr;
    const ElfW(Rela) * calls = nullptr;
    const ElfW(Rela) * data = nullptr;
    std::uint64_t call_count = 0, data_count = 0;

    explicit Calls(const Loaded& object) {
        for (const auto* entry = static_cast<const ElfW(Dyn)*>(object.dynamic);
             entry != nullptr && entry->d_tag != DT_NULL; ++entry) {
            const auto value = entry->d_un.d_ptr;
            const auto address = value < object.base ? object.base + value : value;
            switch (entry->d_tag) {
            case DT_SYMTAB:
                symbols = reinterpret_cast<const ElfW(Sym)*>(address);
                break;
            case DT_STRTAB:
                names = reinterpret_cast<const char*>(address);
                break;
            case DT_JMPREL:
                calls = reinterpret_cast<const ElfW(Rela)*>(address);
                break;
            case DT_PLTRELSZ:
                call_count = value / sizeof *calls;
                break;
            case DT_RELA:
                data = reinterpret_cast<const ElfW(Rela)*>(address);
                break;
            case DT_RELASZ:
                data_count = value / sizeof *data;
                break;
            default:
                break;
            }
        }
    }

    /// The name that a row of kind `kind` imports, null for any other.
    const char* imported(const ElfW(Rela) & row, std::uint32_t kind) const {
        const auto& symbol = symbols[ELF64_R_SYM(row.r_info)];
        return ELF64_R_TYPE(row.r_info) == kind && symbol.st_shndx == SHN_UNDEF ? names + symbol.st_name : nullptr;
    }
};

/// Redirects the calls of Python's functions; returns how many functions of Python the rows call.
std::uint64_t redirect(
    const Loaded& object, const Calls& tables_of, const ElfW(Rela) * table, std::uint64_t count, std::uint32_t kind) {
    std::uint64_t found = 0;
    for (const auto* row = table; table != nullptr && row < table + count; ++row) {
        const char* name = tables_of.imported(*row, kind);
        if (name == nullptr || !(begins_with(name, "Py") || begins_with(name, "_Py"))) {
            continue;
        }
        if (kind == data_slot && is_among(compared_by_address, name)) {
            continue;
        }
        // Such a slot holds the address of a variable too, as that of None.
        void* target = exported(python, name, true);
        const auto number = target == nullptr ? 0 : stub_of(name, target);
        found += target == nullptr ? 0 : 1;
        if (number != 0) {
            write_slot(reinterpret_cast<void**>(object.base + row->r_offset), capi_stub(number));
        }
    }
    return found;
}

void redirect_loader(const Loaded& object, const Calls& tables_of) {
    for (const auto* row = tables_of.calls; row != nullptr && row < tables_of.calls + tables_of.call_count; ++row) {
        const char* name = tables_of.imported(*row, call_slot);
        if (name != nullptr && same_text(name, "dlsym")) {
            write_slot(reinterpret_cast<void**>(object.base + row->r_offset), capi_stub(looking_loader));
        }
    }
}

bool is_own(const Loaded& object) {
    const auto here = reinterpret_cast<std::uint64_t>(&python);
    return here >= object.first && here < object.last;
}

Loaded described(const dl_phdr_info& info) {
    Loaded object{};
    object.base = info.dlpi_addr;
    object.path = info.dlpi_name == nullptr ? "" : info.dlpi_name;
    for (int i = 0; i < info.dlpi_phnum; ++i) {
        const auto& part = info.dlpi_phdr[i];
        const auto first = info.dlpi_addr + part.p_vaddr;
        if (part.p_type == PT_DYNAMIC) {
            object.dynamic = reinterpret_cast<const void*>(first);
        } else if (part.p_type == PT_LOAD) {
            object.first = object.first == 0 ? first : object.first;
            object.last = first + part.p_memsz;
        }
    }
    return object;
}

int find_python(dl_phdr_info* info, std::size_t, void*) {
    const auto object = described(*info);
    if (object.dynamic == nullptr || exported(object, "PyEval_RestoreThread") == nullptr) {
        return 0;
    }
    python = object;
    current_state = python_function<const void*()>("PyThreadState_GetUnchecked", "_PyThreadState_UncheckedGet");
    is_initialized = python_function<int()>("Py_IsInitialized");
    is_finalizing = python_function<int()>("Py_IsFinalizing", "_Py_IsFinalizing");
    const auto* version = python_function<const unsigned long>("Py_Version");
    state_is_of_thread = version != nullptr && *version >> 16 >= 0x030C;
    return 1;
}

int redirect_object(dl_phdr_info* info, std::size_t, void*) {
    if (round_now.at == 0 && info->dlpi_subs != round_now.removals) {
        round_now.removals = info->dlpi_subs;
        round_now.seen = 0;
    }
    if (++round_now.at <= round_now.seen) {
        return 0;
    }
    const auto object = described(*info);
    if (object.dynamic == nullptr || is_own(object)) {
        return 0;
    }
    const Calls tables_of(object);
    if (tables_of.symbols == nullptr || tables_of.names == nullptr) {
        return 0;
    }
    redirect_loader(object, tables_of);
    // A sanitizer's runtime calls nothing of Python, and libpython's own calls are its own business.
    if (python.dynamic != nullptr && object.base != python.base &&
        redirect(object, tables_of, tables_of.calls, tables_of.call_count, call_slot) == 0) {
        redirect(object, tables_of, tables_of.data, tables_of.data_count, data_slot); // built with -fno-plt
    }
    return 0;
}

int count_loads(dl_phdr_info* info, std::size_t, void* count) {
    *static_cast<std::uint32_t*>(count) = static_cast<std::uint32_t>(info->dlpi_adds);
    return 1;
}

/// What the calling thread does wrong by a call that needs an attached thread state.
Rule rule_of_call() {
    if (is_initialized != nullptr && is_initialized() == 0) {
        return was_initialized ? Rule::after_finalization : Rule::not_initialized;
    }
    if (current_state() == nullptr) {
        return Rule::no_thread_state;
    }
    const bool recognised = (header->flags.load(std::memory_order_relaxed) & (knows_gil | free_threaded)) == knows_gil;
    return recognised && !state_is_of_thread ? Rule::gil_not_held : Rule::none;
}

std::uint32_t text_of(std::uint32_t number) {
    const char* name = number == 0 ? nullptr : functions[number].name;
    return name == nullptr ? 0 : intern_text(name, length_of(name));
}

void record(Rule rule, const char* function, std::uint32_t native) {
    const Latched latched(tables);
    Misuse misuse{};
    misuse.thread = self.thread;
    misuse.rule = rule;
    misuse.function = intern_text(function, length_of(function));
    misuse.stack.native = native;
    misuse.last = text_of(self.last_action);
    misuse.last_place = self.last_action_place == 0 ? 0 : intern_call_site(self.last_action_place);
    misuse.count = 0;
    auto* known = rows<Misuse>(Part::misuses);
    const auto row = misuses.find_or_make(
        mix(mix(mix(native, misuse.function), misuse.last_place), static_cast<std::uint64_t>(rule)),
        [&](std::uint32_t number) {
            const auto& one = known[number];
            return one.rule == rule && one.function == misuse.function && one.stack.native == native &&
                   one.last_place == misuse.last_place;
        },
        [&] { return append(Part::misuses, misuse); });
    if (row == 0) {
        count_lost(Lost::misuses);
    } else {
        ++known[row].count;
    }
}

std::uint32_t stack_of(const Site& site) {
    const Latched latched(tables);
    return intern_native_stack(site, callers_shown);
}

/// Holds the recorder for the calling thread.
class Entered {
public:
    explicit Entered(const Site& site) {
        if (!self.busy) {
            self.busy = true;
            entered_ = threads_enter(site);
            self.busy = entered_;
        }
    }
    ~Entered() {
        if (entered_) {
            self.busy = false;
        }
    }
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;
    explicit operator bool() const { return entered_; }

private:
    bool entered_ = false;
};

void remember(std::uint32_t number, std::uint64_t pc, std::uint64_t argument) {
    const char* name = functions[number].name;
    self.last_action = number;
    self.last_action_place = pc;
    if (same_text(name, "PyGILState_Ensure")) {
        self.ensured += 1;
        self.ensured_place = pc;
    } else if (same_text(name, "PyGILState_Release") && self.ensured > 0) {
        self.ensured -= 1;
    } else if (same_text(name, "PyThreadState_Delete")) {
        state_deleted(reinterpret_cast<const void*>(argument));
    } else if (same_text(name, "PyThreadState_DeleteCurrent")) {
        state_deleted(current_state());
    }
    was_initialized = was_initialized || begins_with(name, "Py_Init");
}

} // namespace

void python_tsan_capi_called(
    std::uint32_t number, std::uint64_t pc, std::uint64_t sp, std::uint64_t fp, std::uint64_t argument) {
    if (number == looking_loader) {
        capi_redirect();
        return;
    }
    const auto& function = functions[number];
    const bool wrong = function.checked && !self.holds_gil && !(function.quiet_if_null && argument == 0);
    const Site site = {pc, sp, fp};
    if (wrong) {
        if (const Entered entered(site); entered) {
            const auto rule = rule_of_call();
            if (rule != Rule::none) {
                record(rule, function.name, stack_of(site));
            }
        }
    }
    if (function.runs_python && self.holds_gil && self.live != nullptr && self.live->held_count > 1) {
        if (const Entered entered(site); entered) {
            may_request_gil(self.last_gil, site);
        }
        if (meets && !self.busy) {
            meet_in_call(site);
        }
    }
    if (function.action) {
        remember(number, pc, argument);
    }
}

void capi_redirect() {
    if (each_object == nullptr) {
        each_object = reinterpret_cast<decltype(each_object)>(libc_function("dl_iterate_phdr"));
    }
    std::uint32_t now = 0;
    each_object(count_loads, &now);
    const auto before = loads.load(std::memory_order_relaxed);
    if (now == before) {
        return;
    }
    if (before == 0) { // by the library's constructor, before any thread
        if (!by_address.prepare() || !misuses.prepare()) {
            return;
        }
        looking_loader = always_used++;
        functions[looking_loader] = Function{"dlsym", false, false};
        python_tsan_capi_targets[looking_loader] = reinterpret_cast<void*>(dlsym);
    }
    loads.store(now, std::memory_order_relaxed);
    // The dynamic linker's lock excludes other threads while it calls these.
    if (python.dynamic == nullptr) {
        each_object(find_python, nullptr);
    }
    round_now.at = 0;
    round_now.writable = nullptr;
    each_object(redirect_object, nullptr);
    round_now.seen = python.dynamic == nullptr ? 0 : round_now.at;
}

bool capi_checks() {
    return current_state != nullptr;
}

void capi_thread_ends() {
    const Rule rule = self.holds_gil ? Rule::ended_attached : self.ensured != 0 ? Rule::never_released : Rule::none;
    if (rule == Rule::none) {
        return; // before CPython is asked anything: its answer is read without a lock, and would be reported as a race
    }
    if (is_initialized == nullptr || is_initialized() == 0 || (is_finalizing != nullptr && is_finalizing() != 0)) {
        return;
    }
    const char* taken = self.last_action == 0 ? "" : functions[self.last_action].name;
    std::uint32_t native = 0;
    if (const auto place = self.ensured != 0 ? self.ensured_place : self.last_action_place) {
        const Latched latched(tables);
        native = intern_call_site(place);
    }
    record(rule, self.ensured != 0 ? "PyGILState_Ensure" : taken, native);
}

void capi_forget() {
    made_count = 0; // the child's Python frees those of other threads
    misuses.release();
    misuses.prepare();
}

} // namespace lock_recorder
