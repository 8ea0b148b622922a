#include "python.hpp"

#include "sanitizer.hpp"

#ifdef PYTHON_TSAN_WITH_PYTHON
#include "python_frames.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#endif

namespace python_tsan::companion {

#ifdef PYTHON_TSAN_WITH_PYTHON
namespace {

constexpr int kMostFrames = 64;

// Set before any thread exists and never changed.
char stacks_file[4096];

struct Frames {
    Line& line;
    bool first = true;
};

void write_text(Line& line, const python_tsan_text& text) {
    for (std::size_t index = 0; index < text.length && text.width != 0; ++index) {
        switch (text.width) {
        case 1:
            line.letter(static_cast<const std::uint8_t*>(text.data)[index]);
            break;
        case 2:
            line.letter(static_cast<const std::uint16_t*>(text.data)[index]);
            break;
        default:
            line.letter(static_cast<const std::uint32_t*>(text.data)[index]);
        }
    }
}

void write_frame_as_json(const python_tsan_frame* frame, void* context) {
    auto& frames = *static_cast<Frames*>(context);
    frames.line.separator(frames.first).raw("{\"function\":\"");
    frames.first = false;
    write_text(frames.line, frame->function);
    frames.line.raw("\",\"file\":\"");
    write_text(frames.line, frame->file);
    frames.line.raw("\",\"line\":").number(frame->line).raw("}");
}

void write_thread_as_text(unsigned long native_id, int asks, int holds_gil, void* context) {
    auto& line = *static_cast<Line*>(context);
    line.raw("Thread ").number(static_cast<std::int64_t>(native_id)).raw(holds_gil != 0 ? ", holds the GIL" : "");
    line.raw(asks != 0 ? ", answers the signal" : "").raw(" (most recent call first):\n");
}

void write_frame_as_text(const python_tsan_frame* frame, void* context) {
    auto& line = *static_cast<Line*>(context);
    line.raw("  File \"");
    write_text(line, frame->file);
    line.raw("\", line ").number(frame->line).raw(" in ");
    write_text(line, frame->function);
    line.raw("\n");
}

/// Thread states are read from an instrumented libpython, which would be findings of this library's own.
class Unseen {
public:
    Unseen() : sanitizer_(Sanitizer::in_process()) {
        if (possible()) {
            sanitizer_.ignore_begin(__FILE__, __LINE__);
        }
    }
    ~Unseen() {
        if (possible()) {
            sanitizer_.ignore_end(__FILE__, __LINE__);
        }
    }
    Unseen(const Unseen&) = delete;
    Unseen& operator=(const Unseen&) = delete;
    bool possible() const { return sanitizer_.ignore_begin != nullptr && sanitizer_.ignore_end != nullptr; }

private:
    const Sanitizer& sanitizer_;
};

void write_stacks(int) {
    const int before = errno;
    {
        Line line(stacks_file);
        const Unseen unseen;
        python_tsan_all_frames(kMostFrames, write_thread_as_text, write_frame_as_text, &line);
    }
    errno = before;
}

/// The sanitizer's sigaction delays a signal until the thread calls an intercepted function, which a hanging thread may
/// never do: libc's own is used.
void answer_signal() {
    void* libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    using Sigaction = int (*)(int, const struct sigaction*, struct sigaction*);
    const auto set = libc == nullptr ? nullptr : reinterpret_cast<Sigaction>(dlsym(libc, "sigaction"));
    struct sigaction current{};
    if (set == nullptr || set(SIGUSR1, nullptr, &current) != 0 || current.sa_handler != SIG_DFL) {
        return;
    }
    struct sigaction action{};
    action.sa_handler = write_stacks;
    action.sa_flags = SA_RESTART;
    set(SIGUSR1, &action, nullptr);
}

} // namespace

void begin_python() {
    python_tsan_find_interpreter();
    const char* chosen = std::getenv("PYTHON_TSAN_STACKS");
    if (python_tsan_knows_interpreter() != 0 && chosen != nullptr && std::strlen(chosen) < sizeof stacks_file) {
        std::strcpy(stacks_file, chosen);
        answer_signal();
    }
}

void write_own_frames(Line& line) {
    line.raw(",\"python\":[");
    int count = -1;
    // A finding inside a report would end the process.
    if (const Unseen unseen; unseen.possible()) {
        Frames frames{line};
        count = python_tsan_own_frames(kMostFrames, write_frame_as_json, &frames);
    }
    line.raw("],\"attached\":").boolean(count >= 0);
}
#else
void begin_python() {}

void write_own_frames(Line& line) {
    line.raw(",\"python\":[],\"attached\":false");
}
#endif

} // namespace python_tsan::companion
