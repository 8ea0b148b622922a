#include "capi.hpp"

#include "../common/table.hpp"
#include "capi_borrowed.hpp"
#include "capi_owner.hpp"
#include "capi_stubs.hpp"
#include "capi_undone.hpp"
#include "contract.hpp"
#include "file.hpp"
#include "gil.hpp"
#include "hooks.hpp"
#include "meeting.hpp"
#include "python.hpp"
#include "record.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/uio.h>

namespace lock_recorder {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t call_slot = R_X86_64_JUMP_SLOT, data_slot = R_X86_64_GLOB_DAT;
#else
constexpr std::uint32_t call_slot = R_AARCH64_JUMP_SLOT, data_slot = R_AARCH64_GLOB_DAT;
#endif
constexpr std::uint64_t page = 4096;
constexpr int callers_shown = 24;
constexpr int most_exit_functions = 8;

// PyStatus
struct python_status {
    int kind;
    const char *function, *message;
    int exit_code;
};
constexpr std::uint64_t most_misuses = 1 << 15;
constexpr std::uint64_t vectorcall_offset = std::uint64_t{1} << 63; // PY_VECTORCALL_ARGUMENTS_OFFSET

/// Which arguments of a function are objects: a bit for each, and how many more follow.
struct Objects {
    enum class More : std::uint8_t { none, until_null, counted, array };
    std::uint8_t at;
    More more;
};

/// A function that is redirected. Its number is that of its stub.
struct Function {
    const char* name; // in libpython's own table
    const void* target;
    bool checked; // needs an attached thread state
    bool quiet_if_null;
    bool action;      // changes which thread has the GIL
    bool runs_python; // may run Python code, which may release the GIL at any moment
    bool no_error;    // must not be called with an exception set
    Objects objects;  // which of its arguments are objects
    bool saves;       // PyEval_SaveThread and PyEval_RestoreThread, which are called more often than all others
    bool restores;
    Effect effect; // on what the thread has borrowed
};

Function functions[2 * most_stubs];
std::uint32_t quiet_used = 1, always_used = most_stubs; // 0 stands for none
Table by_address;
Latch stubs_latch;
Table misuses;
std::atomic<std::uint32_t> loads{0}; // of objects, when the loaded ones were last looked at
std::uint32_t looking_loader = 0;    // the stub of dlsym

int (*each_object)(int (*)(dl_phdr_info*, std::size_t, void*), void*) = nullptr;

// The Python of this process. Nothing is checked in one that has none.
Loaded python{};
int pythons = 0;
bool second_is_known = false;
std::atomic<std::uint32_t> gaps[static_cast<std::size_t>(Lost::count)]; // before there is a file for them
const void* (*current_state)() = nullptr;
int (*is_initialized)() = nullptr;
int (*is_finalizing)() = nullptr;
const void* (*own_state)() = nullptr; // of the calling thread, attached or not
const void* (*error_occurred)() = nullptr;
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

constexpr const char* runs_python[] = {"PyRun_",          "PyObject_Call",   "_PyObject_Call", "PyObject_Vectorcall",
                                       "PyEval_EvalCode", "PyImport_Import", "PyImport_Exec"};

template <std::size_t Count>
bool begins_with_one(const char* const (&beginnings)[Count], const char* name) {
    for (const char* beginning : beginnings) {
        if (begins_with(name, beginning)) {
            return true;
        }
    }
    return false;
}

bool is_free(const char* name) {
    return begins_with_one(free_prefixes, name) || is_among(free_names, name);
}

bool needs_state(const char* name) {
    return begins_with(name, "Py") ? !is_free(name) : is_among(checked_private, name);
}

void note_gap(Lost what) {
    gaps[static_cast<std::size_t>(what)].fetch_add(1, std::memory_order_relaxed);
}

template <typename Result>
Result* python_function(const char* name, const char* earlier = nullptr) {
    void* found = exported(python, name);
    found = found == nullptr && earlier != nullptr ? exported(python, earlier) : found;
    return reinterpret_cast<Result*>(found);
}

using Call = void (*)();
void* real_finalize = nullptr;
void* real_finalize_ex = nullptr;
void* (*real_new_state)(void*) = nullptr;
void* (*real_new_interpreter)() = nullptr;
python_status (*real_new_configured)(void**, const void*) = nullptr;
int (*real_at_exit)(Call) = nullptr;
bool was_finalized = false;
int exit_functions = 0;

/// CPython keeps the GIL for ever once it is finalized, and so would this thread.
void finalized() {
    if (!self.busy && self.live != nullptr && is_initialized() == 0) {
        self.busy = true;
        report_undone(); // where CPython finalized itself, as at the end of Py_RunMain
        released(self.last_gil);
        self.busy = false;
        was_finalized = true;
        self.ensured = 0;
    }
}

/// CPython has room for 32 functions. It calls the last one first, at the end of each finalization.
void call_at_exit() {
    if (real_at_exit != nullptr && exit_functions < most_exit_functions) {
        ++exit_functions;
        real_at_exit(finalized);
    }
}

/// Called in place of Py_AtExit: what it registers runs after the finalization, too.
int at_exit(Call function) {
    const int result = real_at_exit(function);
    call_at_exit();
    return result;
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

/// Called in place of Py_NewInterpreter.
void* new_interpreter() {
    const auto place = self.last_action_place;
    void* state = real_new_interpreter();
    if (state != nullptr) {
        interpreter_made(state, place);
    }
    return state;
}

python_status new_configured(void** state, const void* config) {
    const auto place = self.last_action_place;
    const auto status = real_new_configured(state, config);
    if (*state != nullptr) {
        interpreter_made(*state, place);
    }
    return status;
}

void (*real_delete_current)() = nullptr;
void (*real_end_interpreter)(void*) = nullptr;

/// Without a GIL, only a look shows that the call has detached the thread state: hooks inside it saw it attached.
void left_attachment() {
    if (follows_attachment && !self.busy && self.live != nullptr && self.holds_gil && current_state() == nullptr) {
        self.busy = true;
        released(self.last_gil);
        self.busy = false;
    }
}

/// Called in place of PyThreadState_DeleteCurrent.
void delete_current() {
    real_delete_current();
    left_attachment();
}

/// Called in place of Py_EndInterpreter.
void end_interpreter(void* state) {
    real_end_interpreter(state);
    left_attachment();
}

void finalizing() {
    if (!self.busy && self.live != nullptr && self.holds_gil && is_initialized() != 0) {
        self.busy = true;
        report_undone();
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

struct Wrapper {
    const char* name;
    void** real; // of the function of Python
    void* ours;
};
const Wrapper wrappers[] = {
    {"Py_Finalize", &real_finalize, reinterpret_cast<void*>(finalize)},
    {"Py_FinalizeEx", &real_finalize_ex, reinterpret_cast<void*>(finalize_ex)},
    {"Py_AtExit", reinterpret_cast<void**>(&real_at_exit), reinterpret_cast<void*>(at_exit)},
    {"PyThreadState_New", reinterpret_cast<void**>(&real_new_state), reinterpret_cast<void*>(new_state)},
    {"PyThreadState_DeleteCurrent", reinterpret_cast<void**>(&real_delete_current),
     reinterpret_cast<void*>(delete_current)},
    {"Py_EndInterpreter", reinterpret_cast<void**>(&real_end_interpreter), reinterpret_cast<void*>(end_interpreter)},
    {"Py_NewInterpreter", reinterpret_cast<void**>(&real_new_interpreter), reinterpret_cast<void*>(new_interpreter)},
    {"Py_NewInterpreterFromConfig", reinterpret_cast<void**>(&real_new_configured),
     reinterpret_cast<void*>(new_configured)},
};

/// What a stub goes on to in place of a function, so that something can be done when it returns.
void* wrapped(const char* name, void* target) {
    for (const auto& each : wrappers) {
        if (same_text(name, each.name)) {
            *each.real = target;
            return each.ours;
        }
    }
    void* locks = locking(name, target);
    return locks == target ? borrowing(name, target) : locks;
}

Effect effect_of(const char* name) {
    return is_among(detaches, name)            ? Effect::detaches
           : is_among(counts_references, name) ? Effect::counts
           : begins_with_one(only_reads, name) ? Effect::reads
                                               : Effect::changes;
}

Objects objects_of(const char* name) {
    using More = Objects::More;
    const bool first = begins_with_one(takes_an_object, name) && !is_among(takes_nothing, name);
    const int at = (first ? 1 : 0) | (is_among(takes_an_object_second, name) ? 2 : 0) |
                   (is_among(takes_an_object_third, name) ? 4 : 0) | (is_among(takes_an_object_fourth, name) ? 8 : 0);
    return {static_cast<std::uint8_t>(at), is_among(ends_with_null, name)      ? More::until_null
                                           : is_among(begins_with_count, name) ? More::counted
                                           : is_among(takes_an_array, name)    ? More::array
                                                                               : More::none};
}

bool looks_always = false;

void look_always(std::uint32_t number) {
    auto& target = python_tsan_capi_targets[number];
    auto& watched = python_tsan_capi_targets[2 * most_stubs + number];
    if (watched == nullptr) {
        watched = target;
        __atomic_store_n(&target, capi_stub(2 * most_stubs + number), __ATOMIC_RELEASE);
    }
}

/// A new stub for a function, 0 if there is no room or it needs none.
std::uint32_t make_stub(const char* name, void* target) {
    const bool action = is_among(actions, name), checked = needs_state(name);
    const bool runs = begins_with_one(runs_python, name), no_error = is_among(without_exception, name);
    void* goes_on = wrapped(name, target);
    if (!action && !checked && !runs && goes_on == target) {
        return 0;
    }
    const bool always = action || runs || no_error; // with the GIL held, too
    auto& used = always ? always_used : quiet_used;
    if (used % most_stubs == 0 && used != (always ? most_stubs : 0)) {
        note_gap(Lost::functions);
        return 0;
    }
    functions[used] = Function{name,
                               target,
                               checked,
                               is_among(null_is_harmless, name),
                               action,
                               runs,
                               no_error,
                               objects_of(name),
                               same_text(name, "PyEval_SaveThread"),
                               same_text(name, "PyEval_RestoreThread"),
                               effect_of(name)};
    python_tsan_capi_targets[used] = goes_on;
    if (looks_always && !always) {
        look_always(used);
    }
    return used++;
}

/// The stub of a function, 0 if it has none.
std::uint32_t stub_of(const char* name, void* target) {
    const Latched latched(stubs_latch);
    return by_address.find_or_make(
        mix(reinterpret_cast<std::uint64_t>(target), 0xca91),
        [&](std::uint32_t number) { return functions[number].target == target; },
        [&] { return make_stub(name, target); });
}

/// One look at the loaded objects. Those that an earlier one has seen come first, in the same order, unless one was
/// unloaded since then.
struct Round {
    std::uint64_t removals = 0;
    std::size_t seen = 0; // with Python known
    std::size_t at = 0;
    void* writable = nullptr; // the page that was made so last
    bool starts = false;      // the first one, before constructors run
};
Round round_now;
Latch redirect_latch;

void write_slot(void** slot, void* value) {
    auto* first = reinterpret_cast<void*>(reinterpret_cast<std::uint64_t>(slot) & ~(page - 1));
    // After relocation the page may be read-only. It stays writable: others on it may be bound later.
    if (first == round_now.writable || raw_call(SYS_mprotect, as_long(first), page, PROT_READ | PROT_WRITE) == 0) {
        round_now.writable = first;
        __atomic_store_n(slot, value, __ATOMIC_RELEASE);
        return;
    }
    // The program may forbid the call: then what is writable anyway is written, by a call that fails elsewhere.
    iovec from = {&value, sizeof value}, to = {slot, sizeof value};
    if (raw_call(SYS_process_vm_writev, raw_call(SYS_getpid), as_long(&from), 1, as_long(&to), 1) !=
        static_cast<long>(sizeof value)) {
        note_gap(Lost::slots);
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

/// Whether a slot leads to this function. With a second Python in the process, one that is not bound yet may not.
bool is_bound_to(const void* value, const void* target) {
    return pythons == 1 || value == target;
}

/// Redirects the calls of Python's functions that these rows make, and returns whether there are any.
bool redirect(
    const Loaded& object, const Calls& tables_of, const ElfW(Rela) * table, std::uint64_t count, std::uint32_t kind) {
    bool calls = false;
    for (const auto* row = table; table != nullptr && row < table + count; ++row) {
        const char* name = tables_of.imported(*row, kind);
        if (name == nullptr || !(begins_with(name, "Py") || begins_with(name, "_Py")) ||
            (kind == data_slot && is_among(compared_by_address, name))) {
            continue;
        }
        // Such a slot holds the address of a variable too, as that of None.
        void* target = exported(python, name, true);
        const auto number = target == nullptr ? 0 : stub_of(name, target);
        auto** slot = reinterpret_cast<void**>(object.base + row->r_offset);
        if (number != 0 && is_bound_to(*slot, target)) {
            write_slot(slot, capi_stub(number));
            calls = true;
        }
    }
    return calls;
}

/// Whether the object begins with crti.o, which calls the recorder before all else; without it, it has run by now.
bool has_start_files(const Calls& tables_of) {
    const auto calls_start = [&](const ElfW(Rela) * table, std::uint64_t count, std::uint32_t kind) {
        for (const auto* row = table; table != nullptr && row < table + count; ++row) {
            const char* name = tables_of.imported(*row, kind);
            if (name != nullptr && same_text(name, "__gmon_start__")) {
                return true;
            }
        }
        return false;
    };
    return calls_start(tables_of.data, tables_of.data_count, data_slot) ||
           calls_start(tables_of.calls, tables_of.call_count, call_slot);
}

#if defined(__clang__)
#define JUMP [[clang::musttail]] return
#else
#define JUMP return // at -O2
#endif

/// Called in place of dlsym. It looks where its caller is, so that it has to be reached by a jump wherever that
/// matters.
void* looked_up(void* handle, const char* name) {
    if (handle != RTLD_NEXT && name != nullptr && begins_with(name, "Py") && !is_among(compared_by_address, name)) {
        void* found = dlsym(handle, name);
        const bool is_pythons = found != nullptr && python.dynamic != nullptr && exported(python, name, true) == found;
        if (const auto number = is_pythons ? stub_of(name, found) : 0; number != 0) {
            return capi_stub(number);
        }
        if (found != nullptr) {
            return found;
        }
    }
    JUMP dlsym(handle, name);
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
    if (object.dynamic != nullptr && exported(object, "PyEval_RestoreThread") != nullptr) {
        python = pythons == 0 ? object : python;
        ++pythons;
    }
    return 0;
}

// What dlmopen loads is in a list of its own (since glibc 2.35).
struct Namespace {
    r_debug list;
    const Namespace* next;
};

int pythons_of_other_namespaces() {
    int count = 0;
    const auto* space = _r_debug.r_version < 2 ? nullptr : reinterpret_cast<const Namespace*>(&_r_debug)->next;
    for (; space != nullptr; space = space->next) {
        for (const auto* map = space->list.r_map; map != nullptr; map = map->l_next) {
            const Loaded object{map->l_addr, 0, 0, map->l_name, map->l_ld};
            count += exported(object, "PyEval_RestoreThread") == nullptr ? 0 : 1;
        }
    }
    return count;
}

void use_python() {
    current_state = python_function<const void*()>("PyThreadState_GetUnchecked", "_PyThreadState_UncheckedGet");
    is_initialized = python_function<int()>("Py_IsInitialized");
    is_finalizing = python_function<int()>("Py_IsFinalizing", "_Py_IsFinalizing");
    own_state = python_function<const void*()>("PyGILState_GetThisThreadState");
    error_occurred = python_function<const void*()>("PyErr_Occurred");
    real_at_exit = python_function<int(Call)>("Py_AtExit");
    const auto* found = python_function<const unsigned long>("Py_Version");
    const auto version = found == nullptr ? 0 : static_cast<std::uint32_t>(*found);
    state_is_of_thread = version >> 16 >= 0x030C;
    arenas_watch(python, version);
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
    if (python.dynamic != nullptr && object.base != python.base) {
        const bool calls = redirect(object, tables_of, tables_of.calls, tables_of.call_count, call_slot);
        // Built with -fno-plt, or of a function whose address is taken somewhere: then its calls use that, too.
        const bool takes = redirect(object, tables_of, tables_of.data, tables_of.data_count, data_slot);
        if ((calls || takes) && !round_now.starts && !has_start_files(tables_of)) {
            note_gap(Lost::late_objects);
        }
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

const char* name_of(std::uint32_t number) {
    return number == 0 ? nullptr : functions[number].name;
}

/// Which of the rules that PyErr_Occurred decides is broken.
bool has_error() {
    return error_occurred != nullptr && current_state() != nullptr && error_occurred() != nullptr;
}

bool are_of_another_interpreter(const std::uint64_t* from, const std::uint64_t* to) {
    for (; from < to; ++from) {
        if (is_of_another_interpreter(reinterpret_cast<void*>(*from))) {
            return true;
        }
    }
    return false;
}

/// Whether a call passes an object of another interpreter.
bool passes_another(const Objects& objects, const std::uint64_t* arguments) {
    for (int i = 0; objects.at >> i != 0; ++i) {
        if ((objects.at >> i & 1) != 0 && are_of_another_interpreter(arguments + i, arguments + i + 1)) {
            return true;
        }
    }
    const auto* first = arguments + 1;
    switch (objects.more) {
    case Objects::More::none:
        return false;
    case Objects::More::until_null: {
        const auto* end = first;
        while (end < arguments + register_arguments && *end != 0) {
            ++end;
        }
        return are_of_another_interpreter(first, end);
    }
    case Objects::More::counted:
        return are_of_another_interpreter(
            first, first + (arguments[0] < register_arguments ? arguments[0] : register_arguments - 1));
    case Objects::More::array: {
        const auto* array = reinterpret_cast<const std::uint64_t*>(arguments[1]);
        return are_of_another_interpreter(array, array + (arguments[2] & ~vectorcall_offset));
    }
    }
    return false;
}

/// The calling thread holds the GIL.
Rule rule_while_held(const Function& function, const std::uint64_t* arguments) {
    if (function.no_error && has_error()) {
        return Rule::error_set;
    }
    return arenas_are_many() && passes_another(function.objects, arguments) ? Rule::other_interpreter : Rule::none;
}

/// What a call breaks that changes which thread has the GIL.
Rule rule_of_action(const char* name, std::uint64_t argument) {
    if (is_among(needs_python, name) && is_initialized() == 0) {
        return was_finalized ? Rule::after_finalization : was_initialized ? Rule::none : Rule::not_initialized;
    }
    if (is_among(attaches, name)) {
        return self.holds_gil && current_state() != nullptr ? Rule::attached_twice : Rule::none;
    }
    if (!self.holds_gil) {
        return Rule::none;
    }
    if (same_text(name, "PyGILState_Release")) {
        return self.ensured == 0                                        ? Rule::unmatched_release
               : self.ensured == 1 && self.ensured_state && has_error() ? Rule::error_lost
                                                                        : Rule::none;
    }
    const bool clears = same_text(name, "PyThreadState_Clear") && argument != 0 &&
                        current_state() == reinterpret_cast<const void*>(argument);
    const bool ends = begins_with(name, "Py_Finalize") && is_initialized() != 0;
    return (clears || ends) && has_error() ? Rule::error_lost : Rule::none;
}

std::uint32_t stack_of(const Site& site) {
    const Latched latched(tables);
    return intern_native_stack(site, callers_shown);
}

/// What is reported: with the stack of the caller, and the object that it passed.
void report(Rule rule, const Function& function, const Site& site, std::uint64_t argument) {
    const void* object = is_among(releases, function.name) ? reinterpret_cast<const void*>(argument) : nullptr;
    record_misuse(Misused{rule, function.name, stack_of(site), self.thread, object, site.pc});
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

/// A thread is inside: it has asked for a thread state, and not released it yet.
void remember_ensure(const Site& site) {
    if (self.ensured == 0) {
        self.ensured_state = own_state != nullptr && own_state() == nullptr;
        if (const Entered entered(site); entered) {
            inside(site.pc);
        }
    }
    self.ensured += 1;
    self.ensured_place = site.pc;
}

/// The calling thread passes an object that it borrowed before it released the GIL.
void report_kept(const Borrow& borrow, const char* function, const Site& site) {
    Misused misused{Rule::borrowed_kept, function, stack_of(site), self.thread};
    misused.last = borrow.function;
    misused.last_place = borrow.pc;
    record_misuse(misused);
}

void remember(std::uint32_t number, const Site& site, std::uint64_t argument) {
    const char* name = functions[number].name;
    self.last_action = number;
    self.last_action_place = site.pc;
    if (same_text(name, "PyGILState_Ensure")) {
        remember_ensure(site);
    } else if (same_text(name, "PyGILState_Release") && self.ensured > 0) {
        self.ensured -= 1;
        if (self.ensured == 0) {
            inside(0);
        }
    } else if (same_text(name, "PyThreadState_Delete")) {
        state_deleted(reinterpret_cast<const void*>(argument));
    } else if (same_text(name, "PyThreadState_DeleteCurrent")) {
        state_deleted(current_state());
    } else if (same_text(name, "Py_EndInterpreter")) {
        interpreter_ended(reinterpret_cast<const void*>(argument));
    } else if (begins_with(name, "Py_Init")) {
        was_initialized = true;
        was_finalized = false;
        exit_functions = 0;
    }
}

} // namespace

void python_tsan_capi_called(
    std::uint32_t number, std::uint64_t pc, std::uint64_t sp, std::uint64_t fp, const std::uint64_t* arguments) {
    if (number == looking_loader) {
        capi_redirect();
        return;
    }
    const auto argument = arguments[0];
    number = number >= 2 * most_stubs ? number - 2 * most_stubs : number;
    const auto& function = functions[number];
    const Site site = {pc, sp, fp};
    if (follows_attachment) {
        if (const Entered entered(site); entered) {
            attachment_seen(site);
        }
    }
    if (self.kept != 0) {
        if (const auto borrow = kept_over_release(function.effect, site, argument); borrow.function != nullptr) {
            if (const Entered entered(site); entered) {
                report_kept(borrow, function.name, site);
            }
        }
    }
    if (!self.holds_gil && function.checked && !(function.quiet_if_null && argument == 0)) {
        if (const Entered entered(site); entered) {
            const auto rule = rule_of_call();
            if (rule != Rule::none) {
                report(rule, function, site, argument);
            }
        }
    } else if (self.holds_gil &&
               (function.no_error || function.objects.at != 0 || function.objects.more != Objects::More::none)) {
        if (const auto rule = rule_while_held(function, arguments); rule != Rule::none) {
            if (const Entered entered(site); entered) {
                report(rule, function, site, argument);
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
    if (function.saves || (function.restores && !self.holds_gil)) { // breaks no rule of an action
        self.last_action = number;
        self.last_action_place = pc;
    } else if (function.action) {
        if (const auto rule = rule_of_action(function.name, argument); rule != Rule::none) {
            if (const Entered entered(site); entered) {
                report(rule, function, site, 0);
            }
        }
        remember(number, site, argument);
    }
    if (function.action && follows_attachment) {
        if (const Entered entered(site); entered) {
            attachment_changes(function.name, argument, site);
        }
    }
}

void record_misuse(const Misused& misused) {
    const Latched latched(tables);
    Misuse misuse{};
    misuse.thread = misused.thread;
    misuse.rule = misused.rule;
    misuse.function = intern_text(misused.function, length_of(misused.function));
    misuse.stack.native = misused.native;
    const char* last = misused.last == nullptr ? name_of(self.last_action) : misused.last;
    const auto place = misused.last == nullptr ? self.last_action_place : misused.last_place;
    misuse.last = last == nullptr ? 0 : intern_text(last, length_of(last));
    misuse.last_place = place == 0 ? 0 : intern_call_site(place);
    auto* known = rows<Misuse>(Part::misuses);
    const auto row = misuses.find_or_make(
        mix(mix(mix(misuse.stack.native, misuse.function), misuse.last_place), static_cast<std::uint64_t>(misuse.rule)),
        [&](std::uint32_t number) {
            const auto& one = known[number];
            return one.rule == misuse.rule && one.function == misuse.function &&
                   one.stack.native == misuse.stack.native && one.last_place == misuse.last_place;
        },
        [&] {
            if (misused.object != nullptr) {
                const auto variable = variable_of(misused.object, misused.pc);
                misuse.object = variable.object;
                misuse.offset = variable.offset;
                misuse.of_thread = variable.of_thread ? 1 : 0;
            }
            return append(Part::misuses, misuse);
        });
    if (row == 0) {
        count_lost(Lost::misuses);
    } else {
        ++known[row].count;
    }
}

void capi_gil_known() {
    was_initialized = true;
    call_at_exit();
}

void capi_look_always() {
    looks_always = true;
    for (std::uint32_t number = 1; number < quiet_used; ++number) {
        look_always(number);
    }
}

void capi_redirect() {
    if (each_object == nullptr) {
        each_object = reinterpret_cast<decltype(each_object)>(libc_function("dl_iterate_phdr"));
    }
    const Latched latched(redirect_latch);
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
        functions[looking_loader] = Function{};
        functions[looking_loader].name = "dlsym";
        python_tsan_capi_targets[looking_loader] = reinterpret_cast<void*>(looked_up);
    }
    loads.store(now, std::memory_order_relaxed);
    // The dynamic linker's lock excludes other threads while it calls these.
    const bool is_new = python.dynamic == nullptr;
    pythons = 0;
    each_object(find_python, nullptr);
    if (is_new && python.dynamic != nullptr) {
        use_python();
    }
    pythons += python.dynamic == nullptr ? 0 : pythons_of_other_namespaces();
    round_now.at = 0;
    round_now.writable = nullptr;
    round_now.starts = before == 0;
    each_object(redirect_object, nullptr);
    capi_note_gaps();
    round_now.seen = python.dynamic == nullptr ? 0 : round_now.at;
}

void capi_note_gaps() {
    if (pythons > 1 && !second_is_known) {
        second_is_known = true;
        note_gap(Lost::pythons);
    }
    for (std::size_t what = 0; header != nullptr && what < static_cast<std::size_t>(Lost::count); ++what) {
        header->lost[what].fetch_add(gaps[what].exchange(0), std::memory_order_relaxed);
    }
}

bool capi_checks() {
    return current_state != nullptr;
}

void capi_thread_ends() {
    if (follows_attachment) {
        attachment_seen(Site{}); // hooks inside of the last call saw the thread still attached
    }
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
    record_misuse(Misused{rule, self.ensured != 0 ? "PyGILState_Ensure" : taken, native, self.thread});
}

void capi_forget() {
    redirect_latch.unlock(); // another thread may have held it at the fork
    forget_undone();         // the child's Python frees those of other threads
    misuses.release();
    misuses.prepare();
}

} // namespace lock_recorder
