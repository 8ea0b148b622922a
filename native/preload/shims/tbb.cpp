// oneTBB: what spawns a task comes before the task, and a task comes before the end of the wait for it. Its scheduler
// is inside libtbb, where the sanitizer sees nothing; the counts of what is waited for are atomics in the program's own
// code.
//
// A task is a class of the program with virtual functions. Its table is replaced when it is spawned, by a copy that
// acquires first and puts the own table back.
#include "shim.hpp"

#include <cstddef>

namespace {

using namespace python_tsan::shims;

constexpr Group kGroup = Group::tbb;

using Object = void*;
using Function = void*;

/// The layout of a task: the table of its virtual functions.
struct Task {
    Function* table;
};

using Run = Task* (*)(Task*, Object);

// A table: offset to the whole object, type, two destructors, execute, cancel.
constexpr std::size_t kBefore = 2;
constexpr std::size_t kExecute = 2;
constexpr std::size_t kCancel = 3;
constexpr std::size_t kEntries = 4;
constexpr std::size_t kMostTables = 256; // tasks of further classes are not shimmed

struct Table {
    std::atomic<Function*> original{nullptr};
    std::atomic<bool> ready{false};
    Function entries[kBefore + kEntries];
};
Table tables[kMostTables];

bool is_ours(const Task* task) {
    const auto* entry = reinterpret_cast<const char*>(task->table);
    return entry >= reinterpret_cast<const char*>(tables) &&
           entry < reinterpret_cast<const char*>(tables + kMostTables);
}

Table& table_of(const Task* task) {
    const std::ptrdiff_t distance = reinterpret_cast<const char*>(task->table) - reinterpret_cast<const char*>(tables);
    return tables[static_cast<std::size_t>(distance) / sizeof(Table)];
}

template <std::size_t kFunction>
Task* run(Task* task, Object data) {
    Function* original = table_of(task).original.load(std::memory_order_relaxed);
    task->table = original;
    acquire(task);
    return reinterpret_cast<Run>(original[kFunction])(task, data);
}

void fill(Table& table, Function* original) {
    for (std::size_t index = 0; index < kBefore + kEntries; ++index) {
        table.entries[index] = (original - kBefore)[index];
    }
    table.entries[kBefore + kExecute] = reinterpret_cast<Function>(&run<kExecute>);
    table.entries[kBefore + kCancel] = reinterpret_cast<Function>(&run<kCancel>);
    table.ready.store(true, std::memory_order_release);
}

/// Returns the copy of a table, null when there is no room or another thread is making it.
Table* copy_of(Function* original) {
    for (Table& table : tables) {
        Function* known = table.original.load(std::memory_order_relaxed);
        if (known == nullptr && table.original.compare_exchange_strong(known, original)) {
            fill(table, original);
            return &table;
        }
        if (known == original) {
            return table.ready.load(std::memory_order_acquire) ? &table : nullptr;
        }
    }
    return nullptr;
}

void begins(Object object) {
    auto* task = static_cast<Task*>(object);
    if (!is_on(kGroup)) {
        return;
    }
    if (!is_ours(task)) {
        Table* table = copy_of(task->table);
        if (table == nullptr) {
            return;
        }
        task->table = table->entries + kBefore;
    }
    release(task);
}

/// The count of a wait_context follows its version.
void ended(Object wait) {
    if (is_on(kGroup)) {
        acquire(static_cast<char*>(wait) + sizeof(std::uint64_t));
    }
}

using Pool = Object*;

CallersNext<void (*)(Object, Object)> next_spawn("_ZN3tbb6detail2r15spawnERNS0_2d14taskERNS2_18task_group_contextE");
CallersNext<void (*)(Object, Object, unsigned short)>
    next_spawn_at("_ZN3tbb6detail2r15spawnERNS0_2d14taskERNS2_18task_group_contextEt");
CallersNext<void (*)(Object, Object, Object, std::uintptr_t)>
    next_submit("_ZN3tbb6detail2r16submitERNS0_2d14taskERNS2_18task_group_contextEPNS1_5arenaEm");
CallersNext<void (*)(Object, Object)> next_enqueue("_ZN3tbb6detail2r17enqueueERNS0_2d14taskEPNS2_15task_arena_baseE");
CallersNext<void (*)(Object, Object, Object)>
    next_enqueue_in("_ZN3tbb6detail2r17enqueueERNS0_2d14taskERNS2_18task_group_contextEPNS2_15task_arena_baseE");
CallersNext<void (*)(Object, Object)>
    next_wait("_ZN3tbb6detail2r14waitERNS0_2d112wait_contextERNS2_18task_group_contextE");
CallersNext<void (*)(Object, Object, Object, Object)> next_execute_and_wait(
    "_ZN3tbb6detail2r116execute_and_waitERNS0_2d14taskERNS2_18task_group_contextERNS2_12wait_contextES6_");
CallersNext<Object (*)(Pool, std::size_t)> next_allocate("_ZN3tbb6detail2r18allocateERPNS0_2d117small_object_poolEm");
CallersNext<Object (*)(Pool, std::size_t, Object)>
    next_allocate_in("_ZN3tbb6detail2r18allocateERPNS0_2d117small_object_poolEmRKNS2_14execution_dataE");
CallersNext<void (*)(Object, Object, std::size_t)>
    next_deallocate("_ZN3tbb6detail2r110deallocateERNS0_2d117small_object_poolEPvm");
CallersNext<void (*)(Object, Object, std::size_t, Object)>
    next_deallocate_in("_ZN3tbb6detail2r110deallocateERNS0_2d117small_object_poolEPvmRKNS2_14execution_dataE");

/// Memory that one thread gave back and another gets.
Object reused(Object memory) {
    if (is_on(kGroup)) {
        acquire(memory);
    }
    return memory;
}

void given_back(Object memory) {
    if (is_on(kGroup)) {
        release(memory);
    }
}

} // namespace

PYTHON_TSAN_SHIM void _ZN3tbb6detail2r15spawnERNS0_2d14taskERNS2_18task_group_contextE(Object task, Object context) {
    begins(task);
    next_spawn.of(PYTHON_TSAN_CALLER)(task, context);
}

PYTHON_TSAN_SHIM void
_ZN3tbb6detail2r15spawnERNS0_2d14taskERNS2_18task_group_contextEt(Object task, Object context, unsigned short slot) {
    begins(task);
    next_spawn_at.of(PYTHON_TSAN_CALLER)(task, context, slot);
}

PYTHON_TSAN_SHIM void _ZN3tbb6detail2r16submitERNS0_2d14taskERNS2_18task_group_contextEPNS1_5arenaEm(
    Object task, Object context, Object arena, std::uintptr_t critical) {
    begins(task);
    next_submit.of(PYTHON_TSAN_CALLER)(task, context, arena, critical);
}

PYTHON_TSAN_SHIM void _ZN3tbb6detail2r17enqueueERNS0_2d14taskEPNS2_15task_arena_baseE(Object task, Object arena) {
    begins(task);
    next_enqueue.of(PYTHON_TSAN_CALLER)(task, arena);
}

PYTHON_TSAN_SHIM void _ZN3tbb6detail2r17enqueueERNS0_2d14taskERNS2_18task_group_contextEPNS2_15task_arena_baseE(
    Object task, Object context, Object arena) {
    begins(task);
    next_enqueue_in.of(PYTHON_TSAN_CALLER)(task, context, arena);
}

PYTHON_TSAN_SHIM void _ZN3tbb6detail2r14waitERNS0_2d112wait_contextERNS2_18task_group_contextE(Object wait,
                                                                                               Object context) {
    next_wait.of(PYTHON_TSAN_CALLER)(wait, context);
    ended(wait);
}

PYTHON_TSAN_SHIM void
_ZN3tbb6detail2r116execute_and_waitERNS0_2d14taskERNS2_18task_group_contextERNS2_12wait_contextES6_(Object task,
                                                                                                    Object context,
                                                                                                    Object wait,
                                                                                                    Object waiting) {
    next_execute_and_wait.of(PYTHON_TSAN_CALLER)(task, context, wait, waiting);
    ended(wait);
}

PYTHON_TSAN_SHIM Object _ZN3tbb6detail2r18allocateERPNS0_2d117small_object_poolEm(Pool pool, std::size_t size) {
    return reused(next_allocate.of(PYTHON_TSAN_CALLER)(pool, size));
}

PYTHON_TSAN_SHIM Object _ZN3tbb6detail2r18allocateERPNS0_2d117small_object_poolEmRKNS2_14execution_dataE(
    Pool pool, std::size_t size, Object data) {
    return reused(next_allocate_in.of(PYTHON_TSAN_CALLER)(pool, size, data));
}

PYTHON_TSAN_SHIM void
_ZN3tbb6detail2r110deallocateERNS0_2d117small_object_poolEPvm(Object pool, Object memory, std::size_t size) {
    given_back(memory);
    next_deallocate.of(PYTHON_TSAN_CALLER)(pool, memory, size);
}

PYTHON_TSAN_SHIM void _ZN3tbb6detail2r110deallocateERNS0_2d117small_object_poolEPvmRKNS2_14execution_dataE(
    Object pool, Object memory, std::size_t size, Object data) {
    given_back(memory);
    next_deallocate_in.of(PYTHON_TSAN_CALLER)(pool, memory, size, data);
}
