// Programs that are started without the environment of the run, as by `env -i`: what they do is not reported to it,
// and they may live too short to be seen from outside. Nothing is changed; each is written (execs.PID.jsonl) before it
// starts. A program that is started by a system call of its caller's own, as Go does, is not noticed.
#include "../preload/shims/shim.hpp"
#include "buffer.hpp"
#include "companion.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <spawn.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace python_tsan::companion {
namespace {

bool is_of_the_run(char* const* environment) {
    constexpr std::size_t length = sizeof kFolderVariable - 1;
    for (; environment != nullptr && *environment != nullptr; ++environment) {
        if (std::strncmp(*environment, kFolderVariable, length) == 0 && (*environment)[length] == '=') {
            return true;
        }
    }
    return false;
}

/// Writes a program and, if its name is searched for, the folders. May be called between vfork and exec: it uses the
/// stack and system calls alone.
void note(const char* program, char* const* environment, bool searched = false) {
    if (folder[0] == '\0' || is_of_the_run(environment)) {
        return;
    }
    const int before = errno;
    char place[4096];
    if (syscall(SYS_getcwd, place, sizeof place) < 0) {
        place[0] = '\0';
    }
    const char* set = std::getenv("PATH"); // the caller's own, for each of the functions
    const char* path = !searched ? nullptr : set == nullptr ? "/bin:/usr/bin" : set;
    Line line(folder, "execs");
    line.raw("{\"pid\":").number(syscall(SYS_getpid)).raw(",\"program\":").text(program);
    line.raw(",\"directory\":").text(place).raw(",\"path\":").text(path).raw("}");
    errno = before;
}

using shims::Next;

Next<decltype(&::execve)> next_execve("execve");
Next<decltype(&::execv)> next_execv("execv");
Next<decltype(&::execvp)> next_execvp("execvp");
Next<decltype(&::execvpe)> next_execvpe("execvpe");
Next<decltype(&::posix_spawn)> next_spawn("posix_spawn");
Next<decltype(&::posix_spawnp)> next_spawnp("posix_spawnp");

/// Finds them before main: the dynamic linker must not be entered behind vfork.
__attribute__((constructor(101))) void find() {
    next_execve.get();
    next_execv.get();
    next_execvp.get();
    next_execvpe.get();
    next_spawn.get();
    next_spawnp.get();
}

} // namespace
} // namespace python_tsan::companion

using namespace python_tsan::companion;

PYTHON_TSAN_SHIM int execve(const char* path, char* const* words, char* const* environment) noexcept {
    note(path, environment);
    return next_execve(path, words, environment);
}

PYTHON_TSAN_SHIM int execv(const char* path, char* const* words) noexcept {
    note(path, environ);
    return next_execv(path, words);
}

PYTHON_TSAN_SHIM int execvp(const char* file, char* const* words) noexcept {
    note(file, environ, true);
    return next_execvp(file, words);
}

PYTHON_TSAN_SHIM int execvpe(const char* file, char* const* words, char* const* environment) noexcept {
    note(file, environment, true);
    return next_execvpe(file, words, environment);
}

PYTHON_TSAN_SHIM int posix_spawn(pid_t* pid,
                                 const char* path,
                                 const posix_spawn_file_actions_t* actions,
                                 const posix_spawnattr_t* attributes,
                                 char* const* words,
                                 char* const* environment) {
    note(path, environment);
    return next_spawn(pid, path, actions, attributes, words, environment);
}

PYTHON_TSAN_SHIM int posix_spawnp(pid_t* pid,
                                  const char* file,
                                  const posix_spawn_file_actions_t* actions,
                                  const posix_spawnattr_t* attributes,
                                  char* const* words,
                                  char* const* environment) {
    note(file, environment, true);
    return next_spawnp(pid, file, actions, attributes, words, environment);
}
