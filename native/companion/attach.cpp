// GCC's runtime is a shared library and finds our __tsan_on_report before its own, because this library is preloaded.
// Clang's is linked into the program, where the linker has bound the call to the runtime's own empty definition, so
// that preloading has no effect. That empty function, one `ret` in a slot of 16 bytes, is overwritten with a jump, if
// it looks as expected.

#include "sanitizer.hpp"
#include "symbols.hpp"

#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <type_traits>
#include <unistd.h>

extern "C" __attribute__((visibility("default"))) void __tsan_on_report(void* report) {
    python_tsan_companion_report(report);
}

namespace python_tsan::companion {
namespace {

#if defined(__x86_64__)
constexpr std::size_t kSlot = 16;

/// Returns whether the slot contains only `ret` and the padding that compilers put between functions.
bool is_empty_function(const unsigned char* code) {
    constexpr unsigned char kPadding[] = {0x00, 0x0f, 0x1f, 0x2e, 0x40, 0x44, 0x66, 0x80, 0x84, 0x90, 0xcc};
    constexpr unsigned char kEndbr[] = {0xf3, 0x0f, 0x1e, 0xfa};
    const std::size_t start = std::memcmp(code, kEndbr, sizeof kEndbr) == 0 ? sizeof kEndbr : 0;
    bool empty = reinterpret_cast<std::uintptr_t>(code) % kSlot == 0 && code[start] == 0xc3;
    for (std::size_t index = start + 1; empty && index < kSlot; ++index) {
        empty = std::memchr(kPadding, code[index], sizeof kPadding) != nullptr;
    }
    return empty;
}

bool overwrite(unsigned char* code) {
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<std::uintptr_t>(code) & ~(page - 1);
    constexpr int kWritable = PROT_READ | PROT_WRITE | PROT_EXEC;
    if (syscall(SYS_mprotect, begin, page, kWritable) != 0) {
        return false; // a kernel that forbids changes of code, as SELinux does with execmod
    }
    const auto target = reinterpret_cast<std::uintptr_t>(&python_tsan_companion_report);
    unsigned char jump[14] = {0xff, 0x25, 0, 0, 0, 0}; // jmp *0(%rip), then the address
    std::memcpy(jump + 6, &target, sizeof target);
    std::memcpy(code, jump, sizeof jump);
    syscall(SYS_mprotect, begin, page, PROT_READ | PROT_EXEC);
    return true;
}

bool patch(void* function) {
    auto* code = static_cast<unsigned char*>(function);
    return is_empty_function(code) && overwrite(code);
}
#else
// AArch64's functions are 4 bytes apart, too few for a jump to a library.
bool patch(void*) {
    return false;
}
#endif

} // namespace

const Sanitizer& Sanitizer::in_process() {
    static Sanitizer found{};
    return found;
}

void Sanitizer::look_up(const Symbols& symbols) {
    auto& all = const_cast<Sanitizer&>(in_process());
    const auto look = [&symbols](auto& function, const char* name) {
        function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(symbols.find(name));
    };
    look(all.data, "__tsan_get_report_data");
    look(all.access, "__tsan_get_report_mop");
    look(all.location, "__tsan_get_report_loc");
    look(all.mutex, "__tsan_get_report_mutex");
    look(all.thread, "__tsan_get_report_thread");
    look(all.ignore_begin, "AnnotateIgnoreReadsBegin");
    look(all.ignore_end, "AnnotateIgnoreReadsEnd");
    look(all.set_report_path, "__sanitizer_set_report_path");
}

Attachment attach() {
    const Symbols symbols;
    // Every instrumented program exports this one.
    if (dlsym(RTLD_DEFAULT, "__tsan_init") == nullptr) {
        return Attachment::absent;
    }
    Sanitizer::look_up(symbols);
    if (!Sanitizer::in_process().ok()) {
        return Attachment::none;
    }
    void* inside = symbols.find_in_program("__tsan_on_report");
    if (inside != nullptr) {
        return patch(inside) ? Attachment::patched : Attachment::none;
    }
    void* first = dlsym(RTLD_DEFAULT, "__tsan_on_report");
    return first == reinterpret_cast<void*>(&__tsan_on_report) ? Attachment::preloaded : Attachment::none;
}

} // namespace python_tsan::companion
