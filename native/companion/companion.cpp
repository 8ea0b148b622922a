// A library to preload into a program that runs under ThreadSanitizer. In the folder PYTHON_TSAN_COMPANION it writes
// with which options a process started (starts.PID.jsonl), what the sanitizer passes to its report hook
// (reports.PID.jsonl) and the objects that were loaded when the process ended (objects.PID.jsonl). Not instrumented,
// and inert in a process without the sanitizer, but for what execs.cpp notes.

#include "companion.hpp"

#include "buffer.hpp"
#include "python.hpp"
#include "sanitizer.hpp"

#include <cstdlib>
#include <cstring>
#include <link.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace python_tsan::companion {

char folder[4096];

namespace {

// Set before any thread exists and never changed: read without a lock.
Attachment attachment = Attachment::absent;

void write_accesses(Line& line, void* report, int count) {
    line.raw(",\"accesses\":[");
    for (int index = 0; index < count; ++index) {
        int thread = 0, size = 0, write = 0, atomic = 0;
        void* address = nullptr;
        void* trace[1] = {};
        Sanitizer::in_process().access(report, static_cast<Sanitizer::Size>(index), &thread, &address, &size, &write,
                                       &atomic, trace, 1);
        line.separator(index == 0).raw("{\"thread\":").number(thread).raw(",\"address\":");
        line.address(reinterpret_cast<std::uintptr_t>(address)).raw(",\"size\":").number(size);
        line.raw(",\"write\":").boolean(write != 0).raw(",\"atomic\":").boolean(atomic != 0).raw("}");
    }
    line.raw("]");
}

void write_locations(Line& line, void* report, int count) {
    line.raw(",\"locations\":[");
    for (int index = 0; index < count; ++index) {
        const char* type = nullptr;
        void* address = nullptr;
        Sanitizer::Size start = 0, size = 0;
        int thread = 0, descriptor = 0, suppressable = 0;
        void* trace[1] = {};
        Sanitizer::in_process().location(report, static_cast<Sanitizer::Size>(index), &type, &address, &start, &size,
                                         &thread, &descriptor, &suppressable, trace, 1);
        line.separator(index == 0).raw("{\"type\":").text(type).raw(",\"start\":").address(start);
        line.raw(",\"size\":").number(static_cast<std::int64_t>(size)).raw(",\"thread\":").number(thread);
        line.raw(",\"descriptor\":").number(descriptor).raw("}");
    }
    line.raw("]");
}

void write_mutexes(Line& line, void* report, int count) {
    line.raw(",\"mutexes\":[");
    for (int index = 0; index < count; ++index) {
        Sanitizer::Size id = 0;
        void* address = nullptr;
        int destroyed = 0;
        void* trace[1] = {};
        Sanitizer::in_process().mutex(report, static_cast<Sanitizer::Size>(index), &id, &address, &destroyed, trace, 1);
        line.separator(index == 0).raw("{\"id\":").number(static_cast<std::int64_t>(id)).raw(",\"address\":");
        line.address(reinterpret_cast<std::uintptr_t>(address)).raw(",\"destroyed\":").boolean(destroyed != 0).raw("}");
    }
    line.raw("]");
}

void write_threads(Line& line, void* report, int count) {
    line.raw(",\"threads\":[");
    for (int index = 0; index < count; ++index) {
        int id = 0, running = 0, parent = 0;
        std::uint64_t tid = 0;
        const char* name = nullptr;
        void* trace[1] = {};
        Sanitizer::in_process().thread(report, static_cast<Sanitizer::Size>(index), &id, &tid, &running, &name, &parent,
                                       trace, 1);
        line.separator(index == 0).raw("{\"id\":").number(id).raw(",\"tid\":").number(static_cast<std::int64_t>(tid));
        line.raw(",\"running\":").boolean(running != 0).raw(",\"name\":").text(name == nullptr ? "" : name);
        line.raw(",\"parent\":").number(parent).raw("}");
    }
    line.raw("]");
}

int write_object(dl_phdr_info* info, std::size_t, void* context) {
    auto& line = *static_cast<Line*>(context);
    if (info->dlpi_name != nullptr && info->dlpi_name[0] == '/') {
        line.raw(",").text(info->dlpi_name);
    }
    return 0;
}

const char* word(Attachment how) {
    switch (how) {
    case Attachment::preloaded:
        return "preloaded";
    case Attachment::patched:
        return "patched";
    case Attachment::none:
        return "none";
    case Attachment::absent:
        break;
    }
    return "absent";
}

void read_program(char (&path)[4096]) {
    const auto length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length < 0 ? 0 : length] = '\0';
}

bool ends_with(const char* text, const char* end) {
    const std::size_t length = std::strlen(text), tail = std::strlen(end);
    return length >= tail && std::strcmp(text + length - tail, end) == 0;
}

/// Lets a process whose starter has replaced TSAN_OPTIONS log where the run collects its logs; returns that log path,
/// null if nothing was changed.
const char* restore_log(const char* options) {
    const char* log = std::getenv("PYTHON_TSAN_LOG_PATH");
    const auto set = Sanitizer::in_process().set_report_path;
    // The runtime ends a process whose log path is too long. The run has put its own behind all other options.
    if (log == nullptr || set == nullptr || std::strlen(log) > 3900) {
        return nullptr;
    }
    char ours[4096] = "log_path='";
    std::strcat(std::strcat(ours, log), "'");
    if (ends_with(options, ours)) {
        return nullptr;
    }
    set(log);
    return log;
}

void write_start() {
    char program[4096];
    read_program(program);
    const char* set = std::getenv("TSAN_OPTIONS");
    const char* options = set == nullptr ? "" : set;
    const char* log = restore_log(options);
    Line line(folder, "starts");
    line.raw("{\"pid\":").number(syscall(SYS_getpid)).raw(",\"parent\":").number(syscall(SYS_getppid));
    line.raw(",\"program\":").text(program);
    line.raw(",\"options\":").text(options).raw(",\"log\":").text(log == nullptr ? "" : log).raw("}");
}

__attribute__((constructor)) void begin() {
    const char* chosen = std::getenv(kFolderVariable);
    if (chosen == nullptr || std::strlen(chosen) >= sizeof folder) {
        return;
    }
    std::strcpy(folder, chosen);
    attachment = attach();
    if (attachment != Attachment::absent) {
        write_start();
    }
    begin_python();
}

__attribute__((destructor)) void end() {
    if (attachment == Attachment::absent) {
        return; // a shell, a symbolizer
    }
    char program[4096];
    read_program(program);
    Line line(folder, "objects");
    line.raw("{\"pid\":").number(syscall(SYS_getpid)).raw(",\"hook\":").text(word(attachment));
    line.raw(",\"objects\":[").text(program);
    dl_iterate_phdr(write_object, &line);
    line.raw("]}");
}

} // namespace
} // namespace python_tsan::companion

/// Called by the sanitizer, under its report lock, after it has printed a finding. Nothing here may allocate.
extern "C" void python_tsan_companion_report(void* report) {
    using namespace python_tsan::companion;
    if (folder[0] == '\0') {
        return;
    }
    const char* kind = nullptr;
    int count = 0, stacks = 0, accesses = 0, locations = 0, mutexes = 0, threads = 0, unique = 0;
    void* sleep[1] = {};
    Sanitizer::in_process().data(report, &kind, &count, &stacks, &accesses, &locations, &mutexes, &threads, &unique,
                                 sleep, 1);
    Line line(folder, "reports");
    line.raw("{\"kind\":").text(kind).raw(",\"tid\":").number(syscall(SYS_gettid));
    write_accesses(line, report, accesses);
    write_locations(line, report, locations);
    write_mutexes(line, report, mutexes);
    write_threads(line, report, threads);
    write_own_frames(line);
    line.raw("}");
}
