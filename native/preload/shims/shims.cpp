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

constexpr const char* kNames[] = {"pthread", "descriptors", "signals", "glib", "qt",
                                  "absl",    "exceptions",  "tbb",     "ipc",  "timers"};
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

/// Looks for a function in every loaded library but this one: those that were opened for their opener alone are not
/// searched by dlsym(RTLD_NEXT). Null if none has it.
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

} // namespace

void* find_next(const char* name) {
    void* found = preload::next_in_order(name);
    return found != nullptr ? found : find_in_libraries(name);
}

const void* object_of(const void* code) {
#ifdef DLFO_STRUCT_HAS_EH_DBASE
    dl_find_object found{}; // takes no lock
    return _dl_find_object(const_cast<void*>(code), &found) == 0 ? found.dlfo_link_map : nullptr;
#else
    Dl_info place{};
    link_map* map = nullptr;
    return dladdr1(code, &place, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) != 0 ? map : nullptr;
#endif
}

namespace {

constexpr const char* kVersions[] = {"Qt_5", "Qt_6"}; // of libraries that one process may have in both

/// A definition, with the handle that found it.
struct Definition {
    void* function = nullptr;
    void* handle = nullptr;
};

const char* version_of(const Definition& found, const char* name) {
    for (const char* version : kVersions) {
        if (dlvsym(found.handle, name, version) == found.function) {
            return version;
        }
    }
    return "";
}

/// What the object itself and the libraries that it needs have, but for the shims.
Definition find_below(const void* object, const char* name) {
    const auto* map = static_cast<const link_map*>(object);
    if (map == nullptr || map->l_name[0] == '\0') {
        return {};
    }
    void* handle = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
    void* function = handle == nullptr ? nullptr : dlsym(handle, name);
    if (handle != nullptr) {
        dlclose(handle); // which the object survives: its code is running
    }
    const bool is_own =
        function != nullptr && object_of(function) == object_of(reinterpret_cast<void*>(&find_in_libraries));
    return is_own ? Definition{} : Definition{function, handle};
}

/// What an object would call without the shims.
void* find_for(const void* object, const char* name) {
    const Definition global{dlsym(RTLD_NEXT, name), RTLD_NEXT};
    const Definition below = find_below(object, name);
    if (global.function == nullptr || below.function == nullptr || global.function == below.function) {
        void* found = global.function != nullptr ? global.function : below.function;
        return found != nullptr ? found : find_in_libraries(name);
    }
    // The dynamic linker takes the first one of the version that the object was linked with.
    return std::strcmp(version_of(global, name), version_of(below, name)) == 0 ? global.function : below.function;
}

} // namespace

void* Definitions::find(const void* caller) {
    constexpr std::size_t kAlignment = 64; // objects lie further apart
    const void* object = object_of(caller);
    const std::size_t first = reinterpret_cast<std::uintptr_t>(object) / kAlignment;
    for (std::size_t step = 0; object != nullptr && step < kObjects; ++step) {
        Known& known = known_[(first + step) % kObjects];
        const void* owner = known.object.load(std::memory_order_acquire);
        void* function = known.function.load(std::memory_order_acquire);
        if (owner == object && function != nullptr) {
            return function;
        }
        if (owner == nullptr) {
            function = find_for(object, name_);
            if (known.object.compare_exchange_strong(owner, object)) {
                known.function.store(function, std::memory_order_release);
            }
            return function;
        }
    }
    return find_for(object, name_);
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
