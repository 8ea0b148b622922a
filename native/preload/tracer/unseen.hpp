// Hides the tracer's own reads and writes from ThreadSanitizer, in programs that use it.
//
// The tracer is not instrumented, so TSan does not see its lock, but its interceptors for strcmp, memcpy and similar
// see the memory that the lock protects: they would report false positives, and hold the lock meanwhile. The lock is
// not announced to the runtime either: its happens-before order would hide races of the program.

#pragma once

// Weak: missing in a program without ThreadSanitizer. From the runtime's tsan_interface_ann.cpp.
#define TRACER_RUNTIME extern "C" __attribute__((weak, visibility("default")))

TRACER_RUNTIME void AnnotateIgnoreReadsBegin(const char* file, int line);
TRACER_RUNTIME void AnnotateIgnoreReadsEnd(const char* file, int line);
TRACER_RUNTIME void AnnotateIgnoreWritesBegin(const char* file, int line);
TRACER_RUNTIME void AnnotateIgnoreWritesEnd(const char* file, int line);

#undef TRACER_RUNTIME

namespace gil_tracer {

class Unseen {
public:
    Unseen() {
        if (AnnotateIgnoreReadsBegin != nullptr) {
            AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
            AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
        }
    }
    ~Unseen() {
        if (AnnotateIgnoreReadsBegin != nullptr) {
            AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
            AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
        }
    }
    Unseen(const Unseen&) = delete;
    Unseen& operator=(const Unseen&) = delete;
};

} // namespace gil_tracer
