/* Python frames of a thread, read from the interpreter's structures without calling into it.
 *
 * C, because CPython's internal headers are C. Compiled against the headers of one interpreter, and inert in a process
 * with another one. Nothing is allocated, no reference is taken, no lock is taken.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct python_tsan_text {
    const void* data; /* code points, `width` bytes each */
    size_t length;    /* in code points */
    int width;        /* 1, 2 or 4; 0 when there is no text */
};

struct python_tsan_frame {
    struct python_tsan_text function;
    struct python_tsan_text file;
    int line; /* from 1, 0 when unknown */
};

typedef void (*python_tsan_visitor)(const struct python_tsan_frame* frame, void* context);

/* Finds the interpreter of this process; called once, before any thread exists. The report hook must not call the
 * dynamic linker: a thread that holds its lock may be waiting for the sanitizer's report lock. */
void python_tsan_find_interpreter(void);

/* Whether it found an interpreter of the version that this was compiled for. */
int python_tsan_knows_interpreter(void);

/* Visits the frames of the calling thread, innermost first, at most `limit`; returns how many.
 * -1: the thread is not attached to an interpreter, or the process has no supported interpreter. */
int python_tsan_own_frames(int limit, python_tsan_visitor visit, void* context);

/* Called before the frames of each thread: its native identifier, whether it is the calling thread, and whether it
 * holds its interpreter's GIL (known from CPython 3.12). */
typedef void (*python_tsan_thread_visitor)(unsigned long native_id, int asks, int holds_gil, void* context);

/* Visits the frames of every thread of every interpreter, for a signal handler in a hanging process: it does not stop
 * the other threads, so that their frames may be outdated. Returns the number of threads. */
int python_tsan_all_frames(int limit, python_tsan_thread_visitor begin, python_tsan_visitor visit, void* context);

#ifdef __cplusplus
}
#endif
