// Semaphores and message queues of System V, which no runtime knows.
//
// Each semaphore of a set has two tokens. An addition orders what came before it with the subtractions that follow, and
// a subtraction with the waits for zero: one token for both would order two threads that only subtract.
#include "shim.hpp"

#include <cstdarg>
#include <sys/msg.h>
#include <sys/sem.h>

namespace {

using namespace python_tsan::shims;

constexpr Group kGroup = Group::ipc;

Tokens<1024> added;
Tokens<1024> subtracted;
Tokens<256> queues;

std::uint64_t number_of(int set, unsigned semaphore) {
    return (static_cast<std::uint64_t>(static_cast<unsigned>(set)) << 16U | (semaphore & 0xffffU)) + 1;
}

void before_operations(int set, const sembuf* operations, std::size_t count) {
    for (std::size_t index = 0; index < count; ++index) {
        const std::uint64_t number = number_of(set, operations[index].sem_num);
        if (operations[index].sem_op != 0) {
            release_if((operations[index].sem_op > 0 ? added : subtracted).of(number));
        }
    }
}

void after_operations(int set, const sembuf* operations, std::size_t count) {
    for (std::size_t index = 0; index < count; ++index) {
        const std::uint64_t number = number_of(set, operations[index].sem_num);
        if (operations[index].sem_op <= 0) {
            acquire_if((operations[index].sem_op < 0 ? added : subtracted).of(number));
        }
    }
}

template <typename Call>
int operate(int set, const sembuf* operations, std::size_t count, Call call) {
    const bool on = is_on(kGroup);
    if (on) {
        before_operations(set, operations, count);
    }
    const int result = call();
    if (on && result == 0) {
        after_operations(set, operations, count);
    }
    return result;
}

void* queue_token(int queue) {
    return is_on(kGroup) ? queues.of(static_cast<std::uint64_t>(static_cast<unsigned>(queue)) + 1) : nullptr;
}

Next<int (*)(int, sembuf*, std::size_t)> next_semop("semop");
Next<int (*)(int, sembuf*, std::size_t, const timespec*)> next_semtimedop("semtimedop");
Next<int (*)(int, int, int, void*)> next_semctl("semctl");
Next<int (*)(int, const void*, std::size_t, int)> next_msgsnd("msgsnd");
Next<ssize_t (*)(int, void*, std::size_t, long, int)> next_msgrcv("msgrcv");

} // namespace

PYTHON_TSAN_SHIM int semop(int set, sembuf* operations, std::size_t count) noexcept {
    return operate(set, operations, count, [=] { return next_semop(set, operations, count); });
}

PYTHON_TSAN_SHIM int semtimedop(int set, sembuf* operations, std::size_t count, const timespec* limit) noexcept {
    return operate(set, operations, count, [=] { return next_semtimedop(set, operations, count, limit); });
}

/// A value that is set may end the wait of either kind, and one that is read may show that it is over.
PYTHON_TSAN_SHIM int semctl(int set, int semaphore, int command, ...) noexcept {
    va_list rest;
    va_start(rest, command);
    void* argument = va_arg(rest, void*); // a union of an int and pointers
    va_end(rest);
    const bool on = (command == SETVAL || command == GETVAL) && is_on(kGroup);
    const std::uint64_t number = number_of(set, static_cast<unsigned>(semaphore));
    if (on && command == SETVAL) {
        release_if(added.of(number));
        release_if(subtracted.of(number));
    }
    const int result = next_semctl(set, semaphore, command, argument);
    if (on && command == GETVAL && result >= 0) {
        acquire_if(added.of(number));
        acquire_if(subtracted.of(number));
    }
    return result;
}

PYTHON_TSAN_SHIM int msgsnd(int queue, const void* message, std::size_t size, int flags) {
    release_if(queue_token(queue));
    return next_msgsnd(queue, message, size, flags);
}

PYTHON_TSAN_SHIM ssize_t msgrcv(int queue, void* message, std::size_t size, long type, int flags) {
    const ssize_t result = next_msgrcv(queue, message, size, type, flags);
    if (result >= 0) {
        acquire_if(queue_token(queue));
    }
    return result;
}
