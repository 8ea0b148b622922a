// The sanitizer's interface in the running process; null pointers in a process without it.
#pragma once

#include <cstdint>

namespace python_tsan::companion {

class Symbols;

/// Functions of tsan_interface.h and of its debugging part, which may be called from within the report hook.
struct Sanitizer {
    using Size = std::uintptr_t;

    int (*data)(void* report,
                const char** kind,
                int* count,
                int* stacks,
                int* accesses,
                int* locations,
                int* mutexes,
                int* threads,
                int* unique_threads,
                void** sleep,
                Size sleep_size);
    int (*access)(void* report,
                  Size index,
                  int* thread,
                  void** address,
                  int* size,
                  int* write,
                  int* atomic,
                  void** trace,
                  Size trace_size);
    int (*location)(void* report,
                    Size index,
                    const char** type,
                    void** address,
                    Size* start,
                    Size* size,
                    int* thread,
                    int* descriptor,
                    int* suppressable,
                    void** trace,
                    Size trace_size);
    int (*mutex)(void* report, Size index, Size* id, void** address, int* destroyed, void** trace, Size trace_size);
    int (*thread)(void* report,
                  Size index,
                  int* id,
                  std::uint64_t* tid,
                  int* running,
                  const char** name,
                  int* parent,
                  void** trace,
                  Size trace_size);
    void (*ignore_begin)(const char* file, int line);
    void (*ignore_end)(const char* file, int line);
    void (*set_report_path)(const char* path);

    /// The functions of this process, null before look_up().
    static const Sanitizer& in_process();
    static void look_up(const Symbols& symbols);
    bool ok() const {
        return data != nullptr && access != nullptr && location != nullptr && mutex != nullptr && thread != nullptr;
    }
};

enum class Attachment {
    absent,    // no sanitizer in this process
    none,      // the hook cannot be installed: a stripped program, or code that must not be changed
    preloaded, // by the dynamic linker's search order
    patched    // by overwriting the runtime's empty function
};

/// Makes the sanitizer of this process call `python_tsan_companion_report` and returns by which method. Called once,
/// before any thread exists.
Attachment attach();

} // namespace python_tsan::companion

extern "C" void python_tsan_companion_report(void* report);
