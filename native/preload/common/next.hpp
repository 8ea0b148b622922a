// The definition of a function that the process would use without the library that contains this.
#pragma once

#include <atomic>
#include <dlfcn.h>

namespace preload {

/// The one that follows in the order in which the dynamic linker searches; null without one.
inline void* next_in_order(const char* name) {
    return dlsym(RTLD_NEXT, name);
}

/// A definition by name, which `Find` is asked for until it has found it.
template <typename Function, void* (*Find)(const char*) = next_in_order>
class Next {
public:
    constexpr explicit Next(const char* name) : name_(name) {}

    const char* name() const { return name_; }

    Function get() {
        void* known = found_.load(std::memory_order_relaxed);
        if (known == nullptr) {
            known = Find(name_);
            found_.store(known, std::memory_order_relaxed);
        }
        return reinterpret_cast<Function>(known);
    }

    template <typename... Arguments>
    auto operator()(Arguments... arguments) {
        return get()(arguments...);
    }

private:
    const char* name_;
    std::atomic<void*> found_{nullptr};
};

} // namespace preload
