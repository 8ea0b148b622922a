// Keeps what the tracer itself reads and writes out of ThreadSanitizer's sight, in programs that have it.
//
// The tracer is not instrumented, so its lock is not seen, while the runtime's stand-ins for strcmp, memcpy and the
// like see what is guarded by it: they would report a race that is none, and hold the lock for as long as that takes.
// The lock is not announced to the runtime either: its order would then hide races of the program.

#pragma once

// Weak: not there in a program without ThreadSanitizer. From the runtime's tsan_interface_ann.cpp.
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
