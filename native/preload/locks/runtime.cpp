#include "runtime.hpp"

#include "../common/raw.hpp"
#include "hooks.hpp"
#include "record.hpp"
#include "stacks.hpp"
#include "threads.hpp"

#include <dlfcn.h>
#include <initializer_list>
#include <pthread.h>
#include <sys/mman.h>

namespace lock_recorder {

namespace {

using Once = int (*)(pthread_once_t*, void (*)());
using Acquire = int (*)(std::int64_t*);
using Release = void (*)(std::int64_t*);

Once next_once;
Acquire next_acquire;
Release next_release, next_abort;

/// The routine of the call that the thread makes now. Nothing happens between the call and the start of the routine.
struct Routine {
    void (*routine)();
    What what;
    Site site;
};
[[gnu::tls_model("initial-exec")]] __thread Routine pending;

/// Ends with a jump, as hook_once does. That the routine has returned is seen by the flag, see is_stale.
void run_routine() {
    if (enter_again()) {
        requested();
        acquired(pending.what, pending.site);
        leave();
    }
    pending.routine();
}

Site site_of(void* pc, void* sp, void* frame) {
    return Site{reinterpret_cast<std::uint64_t>(pc), reinterpret_cast<std::uint64_t>(sp),
                *static_cast<std::uint64_t*>(frame)};
}

#define CALLER site_of(__builtin_return_address(0), __builtin_dwarf_cfa(), __builtin_frame_address(0))

using Function = void (*)();

/// What to call in place of the routine.
[[gnu::noinline]] Function routine_for(pthread_once_t* control, Function routine, Site site) {
    constexpr int done = 1; // kGuardDone of tsan_interceptors_posix.cpp
    const int state = __atomic_load_n(control, __ATOMIC_ACQUIRE);
    if ((state == done && in_unwinder(site.pc)) || !enter(site)) {
        return routine;
    }
    const auto address = reinterpret_cast<std::uint64_t>(control);
    pending = Routine{routine, What{address, Kind::once, Mode::write, Callee::once, false}, site};
    request(pending.what, site, state != done && state != 0);
    if (state == done) {
        requested(); // a moment earlier it would have waited for the thread that ran the routine
    }
    leave();
    return state == done ? routine : run_routine;
}

/// Ends with a jump, for which it has no local variable: the runtime takes the return address for the caller, and shows
/// it in its reports.
int hook_once(pthread_once_t* control, Function routine) {
    return next_once(control, routine_for(control, routine, CALLER));
}

int hook_acquire(std::int64_t* guard) {
    const auto site = CALLER;
    const auto state = __atomic_load_n(reinterpret_cast<const std::uint32_t*>(guard), __ATOMIC_ACQUIRE);
    if ((state & 0xffU) != 0 || !enter(site)) {
        return next_acquire(guard);
    }
    const What what = {reinterpret_cast<std::uint64_t>(guard), Kind::guard, Mode::write, Callee::guard, false};
    request(what, site, state != 0);
    const int mine = next_acquire(guard); // runs none of the program's code
    if (enter_again()) {
        requested();
        if (mine != 0) {
            acquired(what, site);
        }
    }
    leave();
    return mine;
}

void released_guard(std::int64_t* guard, const Site& site) {
    if (enter(site)) {
        released(reinterpret_cast<std::uint64_t>(guard));
        leave();
    }
}

void hook_release(std::int64_t* guard) {
    released_guard(guard, CALLER);
    next_release(guard);
}

void hook_abort(std::int64_t* guard) {
    released_guard(guard, CALLER);
    next_abort(guard);
}

#if defined(__x86_64__)
constexpr std::uint64_t page = 4096, nearest = 1 << 20, farthest_jump = 1 << 30;
constexpr std::size_t near_jump = 5, far_jump = 14;
unsigned char* thunks = nullptr;
std::size_t thunks_used = 0;

/// The length of an instruction that may begin a function and can be moved: a push, a move between registers, room on
/// the stack, endbr64. 0 for any other.
std::size_t movable(const unsigned char* code) {
    const bool prefixed = (code[0] & 0xf0U) == 0x40;
    const auto* rest = prefixed ? code + 1 : code;
    const std::size_t prefix = prefixed ? 1 : 0;
    if ((rest[0] & 0xf8U) == 0x50) {
        return prefix + 1;
    }
    if (prefixed && (rest[0] == 0x89 || rest[0] == 0x8b) && (rest[1] & 0xc0U) == 0xc0) {
        return prefix + 2;
    }
    if (prefixed && rest[0] == 0x83 && rest[1] == 0xec) {
        return prefix + 3;
    }
    const bool endbr = code[0] == 0xf3 && code[1] == 0x0f && code[2] == 0x1e && code[3] == 0xfa;
    return endbr ? 4 : 0;
}

void write_far_jump(unsigned char* at, std::uint64_t target) {
    const unsigned char jump[] = {0xff, 0x25, 0, 0, 0, 0}; // jmp *0(%rip), then the address
    copy_bytes(at, jump, sizeof jump);
    copy_bytes(at + sizeof jump, &target, sizeof target);
}

/// A page that a near jump reaches.
unsigned char* page_near(std::uint64_t address) {
    constexpr int no_replace = 0x100000; // MAP_FIXED_NOREPLACE, since Linux 4.17
    for (std::uint64_t distance = nearest; distance < farthest_jump; distance += nearest) {
        for (const auto hint : {address - distance, address + distance}) {
            const auto start = hint & ~(page - 1);
            const long made = raw_call(SYS_mmap, static_cast<long>(start), page, PROT_READ | PROT_WRITE | PROT_EXEC,
                                       MAP_PRIVATE | MAP_ANONYMOUS | no_replace, -1, 0);
            if (made == static_cast<long>(start)) {
                return reinterpret_cast<unsigned char*>(made);
            }
            if (made > 0) {
                raw_release(reinterpret_cast<void*>(made), page);
            }
        }
    }
    return nullptr;
}

/// Make the function jump to `hook`; returns where what it did before goes on, null if it cannot be.
void* redirect(void* function, void* hook) {
    auto* code = static_cast<unsigned char*>(function);
    const auto address = reinterpret_cast<std::uint64_t>(function);
    std::size_t moved = 0;
    while (moved < near_jump) {
        const auto length = movable(code + moved);
        if (length == 0) {
            return nullptr;
        }
        moved += length;
    }
    thunks = thunks == nullptr ? page_near(address) : thunks;
    if (thunks == nullptr) {
        return nullptr;
    }
    auto* to_hook = thunks + thunks_used;
    auto* to_rest = to_hook + far_jump;
    write_far_jump(to_hook, reinterpret_cast<std::uint64_t>(hook));
    copy_bytes(to_rest, code, moved);
    write_far_jump(to_rest + moved, address + moved);
    thunks_used += 64;
    const auto first = address & ~(page - 1), last = (address + near_jump + page - 1) & ~(page - 1);
    if (raw_call(SYS_mprotect, static_cast<long>(first), static_cast<long>(last - first),
                 PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
        return nullptr;
    }
    const auto offset = static_cast<std::int32_t>(reinterpret_cast<std::uint64_t>(to_hook) - address - near_jump);
    code[0] = 0xe9; // jmp
    copy_bytes(code + 1, &offset, sizeof offset);
    raw_call(SYS_mprotect, static_cast<long>(first), static_cast<long>(last - first), PROT_READ | PROT_EXEC);
    return to_rest;
}
#else
void* redirect(void*, void*) {
    return nullptr;
}
#endif

/// The runtime's own function. Since LLVM 17 the plain name is a jump to it.
template <typename Function>
bool take(Function& next, const char* const (&names)[3], Function hook) {
    for (const char* name : names) {
        void* found = dlsym(RTLD_DEFAULT, name);
        if (found != nullptr && in_runtime(reinterpret_cast<std::uint64_t>(found))) {
            next = reinterpret_cast<Function>(redirect(found, reinterpret_cast<void*>(hook)));
            return next != nullptr;
        }
    }
    return false;
}

} // namespace

bool redirect_runtime() {
    if (!has_runtime()) {
        return true;
    }
    const bool once =
        take(next_once, {"___interceptor_pthread_once", "__interceptor_pthread_once", "pthread_once"}, hook_once);
    const bool guards =
        take(next_acquire,
             {"___interceptor___cxa_guard_acquire", "__interceptor___cxa_guard_acquire", "__cxa_guard_acquire"},
             hook_acquire) &&
        take(next_release,
             {"___interceptor___cxa_guard_release", "__interceptor___cxa_guard_release", "__cxa_guard_release"},
             hook_release) &&
        take(next_abort, {"___interceptor___cxa_guard_abort", "__interceptor___cxa_guard_abort", "__cxa_guard_abort"},
             hook_abort);
    return once && guards;
}

} // namespace lock_recorder
