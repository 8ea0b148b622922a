// Which groups of shims are on, and which of them a process has used. PYTHON_TSAN_SHIMS=0 switches all off.
#include "../../companion/buffer.hpp"
#include "shim.hpp"

#include <cstdlib>
#include <cstring>
#include <link.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace python_tsan::shims {
namespace {

constexpr const char* kNames[] = {"pthread", "descriptors", "signals", "glib", "qt", "absl", "exceptions", "tbb"};
static_assert(sizeof kNames / sizeof *kNames == static_cast<unsigned>(Group::count));

bool enabled = false; // set before any thread exists and never changed
std::atomic<unsigned> used{0};

__attribute__((constructor(101))) void begin() {
    const char* chosen = std::getenv("PYTHON_TSAN_SHIMS");
    enabled = __tsan_acquire != nullptr && __tsan_release != nullptr && __tsan_mutex_pre_lock != nullptr &&
              __tsan_mutex_post_lock != nullptr && __tsan_mutex_pre_unlock != nullptr &&
              __tsan_mutex_post_unlock != nullptr && (chosen == nullptr || std::strcmp(chosen, "0") != 0);
}

__attribute__((destructor)) void end() {
    const char* folder = std::getenv("PYTHON_TSAN_COMPANION");
    const unsigned groups = used.load(std::memory_order_relaxed);
    if (folder == nullptr || groups == 0) {
        return;
    }
    companion::Line line(folder, "shims");
    line.raw("{\"pid\":").number(syscall(SYS_getpid)).raw(",\"groups\":[");
    bool first = true;
    for (unsigned group = 0; group < static_cast<unsigned>(Group::count); ++group) {
        if ((groups >> group & 1U) != 0) {
            line.separator(first).text(kNames[group]);
            first = false;
        }
    }
    line.raw("]}");
}

} // namespace

void* find_in_libraries(const char* name) {
    Dl_info own{};
    dladdr(reinterpret_cast<void*>(&find_in_libraries), &own);
    for (const link_map* each = _r_debug.r_map; each != nullptr; each = each->l_next) {
        void* handle = each->l_name[0] == '\0' ? nullptr : dlopen(each->l_name, RTLD_LAZY | RTLD_NOLOAD);
        void* found = handle == nullptr ? nullptr : dlsym(handle, name);
        Dl_info place{};
        if (found != nullptr && dladdr(found, &place) != 0 && place.dli_fbase != own.dli_fbase) {
            return found;
        }
    }
    return nullptr;
}

void* find_for(const void* caller, const char* name) {
    Dl_info own{};
    Dl_info place{};
    link_map* map = nullptr;
    dladdr(reinterpret_cast<void*>(&find_for), &own);
    if (dladdr1(caller, &place, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) != 0 && map != nullptr) {
        void* handle = dlopen(map->l_name[0] == '\0' ? nullptr : map->l_name, RTLD_LAZY | RTLD_NOLOAD);
        void* found = handle == nullptr ? nullptr : dlsym(handle, name);
        if (found != nullptr && dladdr(found, &place) != 0 && place.dli_fbase != own.dli_fbase) {
            return found;
        }
    }
    void* next = dlsym(RTLD_NEXT, name);
    return next != nullptr ? next : find_in_libraries(name);
}

bool is_enabled() {
    return enabled;
}

bool is_on(Group group) {
    if (!enabled) {
        return false;
    }
    const unsigned bit = 1U << static_cast<unsigned>(group);
    if ((used.load(std::memory_order_relaxed) & bit) == 0) {
        used.fetch_or(bit, std::memory_order_relaxed);
    }
    return true;
}

} // namespace python_tsan::shims
