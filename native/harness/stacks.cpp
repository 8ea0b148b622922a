#include "harness/stacks.hpp"

#include <python_tsan/barrier.hpp>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sstream>
#include <unistd.h>

#if PYTHON_TSAN_INSTRUMENTED
extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);
#endif

namespace python_tsan {

namespace {

using Handler = void (*)(int);

Handler faulthandlers_own = nullptr; // set before any thread that may get the signal starts

void dump_silently(int number) {
    const int saved = errno;
#if PYTHON_TSAN_INSTRUMENTED
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
#endif
    faulthandlers_own(number);
#if PYTHON_TSAN_INSTRUMENTED
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
    errno = saved;
}

} // namespace

int stacks_file() {
    static const int descriptor = [] {
        const char* path = std::getenv("PYTHON_TSAN_STACKS");
        return path == nullptr || *path == '\0' ? -1 : ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    }();
    return descriptor;
}

void silence_stack_dump() {
    struct sigaction action{};
    if (sigaction(SIGUSR1, nullptr, &action) != 0 || action.sa_handler == SIG_DFL ||
        action.sa_handler == dump_silently) {
        return;
    }
    faulthandlers_own = action.sa_handler;
    action.sa_handler = dump_silently;
    sigaction(SIGUSR1, &action, nullptr);
}

void note_thread(unsigned long identifier, const std::string& name) {
    if (stacks_file() < 0) {
        return;
    }
    std::ostringstream line;
    line << "Thread 0x" << std::hex;
    line.width(16);
    line.fill('0');
    line << identifier << " is " << name << '\n';
    const std::string text = line.str();
    // If the line is lost, a name is missing in a hang's evidence; the verdict is the same.
    [[maybe_unused]] const auto written = ::write(stacks_file(), text.data(), text.size());
}

} // namespace python_tsan
