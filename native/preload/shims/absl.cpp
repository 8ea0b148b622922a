// Abseil's locks, which wait by futex: Mutex, CondVar, Notification, BlockingCounter.
//
// Their names have the version as a namespace, which each distribution and each release chooses; those below are known.
// They acquire and release at the object's address and report no mutex. Conditions are evaluated inside Abseil, by any
// thread that holds the mutex; what is read there is not seen.
#include "shim.hpp"

namespace {

using namespace python_tsan::shims;

constexpr Group kGroup = Group::absl;

using Object = void*;
using Call = void (*)(Object);
using Ask = bool (*)(Object);
using Given = void (*)(Object, const void*);
using Wait = void (*)(Object, Object);

/// A Duration or a Time, which is passed in two registers.
struct Span {
    std::int64_t first;
    std::int64_t second;
};

/// Readers release at the next address, for writers alone.
char* read_token(Object mutex) {
    return static_cast<char*>(mutex) + 1;
}

void taken(Object mutex) {
    if (is_on(kGroup)) {
        acquire(mutex);
        acquire(read_token(mutex));
    }
}

void taken_for_reading(Object mutex) {
    if (is_on(kGroup)) {
        acquire(mutex);
    }
}

void left(Object mutex) {
    if (is_on(kGroup)) {
        release(mutex);
    }
}

void left_by_reader(Object mutex) {
    if (is_on(kGroup)) {
        release(read_token(mutex));
    }
}

/// The flag of a Notification, behind its mutex: the program loads it by an inlined atomic.
char* flag_of(Object notification) {
    return static_cast<char*>(notification) + sizeof(void*);
}

} // namespace

extern "C" {
__attribute__((weak)) void AnnotateIgnoreReadsBegin(const char* file, int line);
__attribute__((weak)) void AnnotateIgnoreReadsEnd(const char* file, int line);
}

namespace {

/// While a condition is evaluated inside Abseil, the mutex is held and the sanitizer does not know it.
class InsideCondition {
public:
    InsideCondition() {
        if (ignores()) {
            AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
        }
    }
    ~InsideCondition() {
        if (ignores()) {
            AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
        }
    }
    InsideCondition(const InsideCondition&) = delete;
    InsideCondition& operator=(const InsideCondition&) = delete;

private:
    static bool ignores() {
        return AnnotateIgnoreReadsBegin != nullptr && AnnotateIgnoreReadsEnd != nullptr && is_on(kGroup);
    }
};

} // namespace

// Each function by the length of its namespace and the namespace itself, as a compiler spells them.
#define PYTHON_TSAN_ABSL_CALL(NAME, BEFORE, AFTER)                                                                     \
    static CallersNext<Call> next_##NAME(#NAME);                                                                       \
    PYTHON_TSAN_SHIM void NAME(Object object) {                                                                        \
        BEFORE;                                                                                                        \
        {                                                                                                              \
            const InsideCondition inside;                                                                              \
            next_##NAME.of(PYTHON_TSAN_CALLER)(object);                                                                \
        }                                                                                                              \
        AFTER;                                                                                                         \
    }

#define PYTHON_TSAN_ABSL_TRY(NAME, TAKEN)                                                                              \
    static CallersNext<Ask> next_##NAME(#NAME);                                                                        \
    PYTHON_TSAN_SHIM bool NAME(Object object) {                                                                        \
        const bool result = next_##NAME.of(PYTHON_TSAN_CALLER)(object);                                                \
        if (result) {                                                                                                  \
            TAKEN(object);                                                                                             \
        }                                                                                                              \
        return result;                                                                                                 \
    }

#define PYTHON_TSAN_ABSL_WHEN(NAME, BEFORE, TAKEN)                                                                     \
    static CallersNext<Given> next_##NAME(#NAME);                                                                      \
    PYTHON_TSAN_SHIM void NAME(Object object, const void* condition) {                                                 \
        BEFORE;                                                                                                        \
        {                                                                                                              \
            const InsideCondition inside;                                                                              \
            next_##NAME.of(PYTHON_TSAN_CALLER)(object, condition);                                                     \
        }                                                                                                              \
        TAKEN(object);                                                                                                 \
    }

#define PYTHON_TSAN_ABSL_WHEN_TIMED(NAME, BEFORE, TAKEN)                                                               \
    static CallersNext<bool (*)(Object, const void*, Span)> next_##NAME(#NAME);                                        \
    PYTHON_TSAN_SHIM bool NAME(Object object, const void* condition, Span limit) {                                     \
        BEFORE;                                                                                                        \
        bool result = false;                                                                                           \
        {                                                                                                              \
            const InsideCondition inside;                                                                              \
            result = next_##NAME.of(PYTHON_TSAN_CALLER)(object, condition, limit);                                     \
        }                                                                                                              \
        TAKEN(object);                                                                                                 \
        return result;                                                                                                 \
    }

#define PYTHON_TSAN_ABSL_WAIT(NAME)                                                                                    \
    static CallersNext<Wait> next_##NAME(#NAME);                                                                       \
    PYTHON_TSAN_SHIM void NAME(Object condition, Object mutex) {                                                       \
        left(mutex);                                                                                                   \
        {                                                                                                              \
            const InsideCondition inside;                                                                              \
            next_##NAME.of(PYTHON_TSAN_CALLER)(condition, mutex);                                                      \
        }                                                                                                              \
        taken(mutex);                                                                                                  \
    }

#define PYTHON_TSAN_ABSL_WAIT_TIMED(NAME)                                                                              \
    static CallersNext<bool (*)(Object, Object, Span)> next_##NAME(#NAME);                                             \
    PYTHON_TSAN_SHIM bool NAME(Object condition, Object mutex, Span limit) {                                           \
        left(mutex);                                                                                                   \
        bool result = false;                                                                                           \
        {                                                                                                              \
            const InsideCondition inside;                                                                              \
            result = next_##NAME.of(PYTHON_TSAN_CALLER)(condition, mutex, limit);                                      \
        }                                                                                                              \
        taken(mutex);                                                                                                  \
        return result;                                                                                                 \
    }

#define PYTHON_TSAN_ABSL_NOTIFIED(NAME)                                                                                \
    static CallersNext<bool (*)(Object, Span)> next_##NAME(#NAME);                                                     \
    PYTHON_TSAN_SHIM bool NAME(Object object, Span limit) {                                                            \
        const bool result = next_##NAME.of(PYTHON_TSAN_CALLER)(object, limit);                                         \
        if (result && is_on(kGroup)) {                                                                                 \
            acquire(flag_of(object));                                                                                  \
        }                                                                                                              \
        return result;                                                                                                 \
    }

#define PYTHON_TSAN_ABSL(NS)                                                                                           \
    PYTHON_TSAN_ABSL_CALL(_ZN4absl##NS##5Mutex4LockEv, , taken(object))                                                \
    PYTHON_TSAN_ABSL_CALL(_ZN4absl##NS##5Mutex6UnlockEv, left(object), )                                               \
    PYTHON_TSAN_ABSL_CALL(_ZN4absl##NS##5Mutex10ReaderLockEv, , taken_for_reading(object))                             \
    PYTHON_TSAN_ABSL_CALL(_ZN4absl##NS##5Mutex12ReaderUnlockEv, left_by_reader(object), )                              \
    PYTHON_TSAN_ABSL_TRY(_ZN4absl##NS##5Mutex7TryLockEv, taken)                                                        \
    PYTHON_TSAN_ABSL_TRY(_ZN4absl##NS##5Mutex13ReaderTryLockEv, taken_for_reading)                                     \
    PYTHON_TSAN_ABSL_WHEN(_ZN4absl##NS##5Mutex5AwaitERKNS0_9ConditionE, left(object), taken)                           \
    PYTHON_TSAN_ABSL_WHEN(_ZN4absl##NS##5Mutex8LockWhenERKNS0_9ConditionE, , taken)                                    \
    PYTHON_TSAN_ABSL_WHEN(_ZN4absl##NS##5Mutex14ReaderLockWhenERKNS0_9ConditionE, , taken_for_reading)                 \
    PYTHON_TSAN_ABSL_WHEN_TIMED(_ZN4absl##NS##5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE, left(object),  \
                                taken)                                                                                 \
    PYTHON_TSAN_ABSL_WHEN_TIMED(_ZN4absl##NS##5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE, left(object),     \
                                taken)                                                                                 \
    PYTHON_TSAN_ABSL_WHEN_TIMED(_ZN4absl##NS##5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE, , taken)    \
    PYTHON_TSAN_ABSL_WHEN_TIMED(_ZN4absl##NS##5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE, , taken)       \
    PYTHON_TSAN_ABSL_WAIT(_ZN4absl##NS##7CondVar4WaitEPNS0_5MutexE)                                                    \
    PYTHON_TSAN_ABSL_WAIT_TIMED(_ZN4absl##NS##7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE)                    \
    PYTHON_TSAN_ABSL_WAIT_TIMED(_ZN4absl##NS##7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE)                       \
    PYTHON_TSAN_ABSL_CALL(_ZN4absl##NS##12Notification6NotifyEv, left(flag_of(object)), )                              \
    PYTHON_TSAN_ABSL_CALL(_ZNK4absl##NS##12Notification19WaitForNotificationEv, , taken_for_reading(flag_of(object)))  \
    PYTHON_TSAN_ABSL_NOTIFIED(_ZNK4absl##NS##12Notification30WaitForNotificationWithTimeoutENS0_8DurationE)            \
    PYTHON_TSAN_ABSL_NOTIFIED(_ZNK4absl##NS##12Notification31WaitForNotificationWithDeadlineENS0_4TimeE)               \
    PYTHON_TSAN_ABSL_TRY_DECREMENT(_ZN4absl##NS##15BlockingCounter14DecrementCountEv)                                  \
    PYTHON_TSAN_ABSL_CALL(_ZN4absl##NS##15BlockingCounter4WaitEv, , taken_for_reading(object))

#define PYTHON_TSAN_ABSL_TRY_DECREMENT(NAME)                                                                           \
    static CallersNext<Ask> next_##NAME(#NAME);                                                                        \
    PYTHON_TSAN_SHIM bool NAME(Object object) {                                                                        \
        left(object);                                                                                                  \
        const bool last = next_##NAME.of(PYTHON_TSAN_CALLER)(object);                                                  \
        if (last) {                                                                                                    \
            taken_for_reading(object);                                                                                 \
        }                                                                                                              \
        return last;                                                                                                   \
    }

PYTHON_TSAN_ABSL(7debian3)
PYTHON_TSAN_ABSL(7debian5)
PYTHON_TSAN_ABSL(7debian7)
PYTHON_TSAN_ABSL(12lts_20220623)
PYTHON_TSAN_ABSL(12lts_20230125)
PYTHON_TSAN_ABSL(12lts_20230802)
PYTHON_TSAN_ABSL(12lts_20240116)
PYTHON_TSAN_ABSL(12lts_20240722)
PYTHON_TSAN_ABSL(12lts_20250127)
PYTHON_TSAN_ABSL(12lts_20250512)
