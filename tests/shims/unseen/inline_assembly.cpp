// A lock of the program's own in inline assembly, as Boost.Interprocess has one, which no compiler instruments.
#include "../programs/own_lock.hpp"

static int word = 0;

static void lock() {
    int value = 1;
    while (value != 0) {
#ifdef __x86_64__
        __asm__ volatile("xchgl %0, %1" : "+r"(value), "+m"(word) : : "memory");
#else
        __asm__ volatile("swpa %w0, %w0, %1" : "+r"(value), "+Q"(word) : : "memory");
#endif
    }
}

static void unlock() {
#ifdef __x86_64__
    __asm__ volatile("movl $0, %0" : "=m"(word) : : "memory");
#else
    __asm__ volatile("stlr wzr, %0" : "=Q"(word) : : "memory");
#endif
}
