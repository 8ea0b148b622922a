#include "capi_stubs.hpp"

#include "threads.hpp"

#include <cstddef>

namespace lock_recorder {

void* python_tsan_capi_targets[3 * most_stubs];

// The stubs read it as the first member of `self`, a variable of each thread.
static_assert(offsetof(Self, passes) == 0);
static_assert(most_stubs == 4096);

extern "C" __attribute__((visibility("hidden"))) const char python_tsan_capi_quiet[];
extern "C" __attribute__((visibility("hidden"))) const char python_tsan_capi_always[];

// A stub changes only registers that the procedure linkage table may change too, and leaves the stack as it is, so that
// one rule describes all of them to an unwinder.
#if defined(__x86_64__)

namespace {
constexpr std::uint32_t quiet_bytes = 32, always_bytes = 16;
} // namespace

__asm__(R"(
    .text
    .p2align 5
    .hidden python_tsan_capi_quiet
    .globl python_tsan_capi_quiet
    .type python_tsan_capi_quiet, @function
python_tsan_capi_quiet:
    .cfi_startproc
    .set .Lnumber, 0
    .rept 4096
    .p2align 5
    movq _ZN13lock_recorder4selfE@gottpoff(%rip), %r11
    cmpb $0, %fs:(%r11)
    movl $.Lnumber, %r11d
    je .Lpython_tsan_capi_call
    jmp *python_tsan_capi_targets+8*.Lnumber(%rip)
    .set .Lnumber, .Lnumber+1
    .endr
    .cfi_endproc
    .size python_tsan_capi_quiet, .-python_tsan_capi_quiet

    .p2align 5
    .hidden python_tsan_capi_always
    .globl python_tsan_capi_always
    .type python_tsan_capi_always, @function
python_tsan_capi_always:
    .cfi_startproc
    .rept 8192
    .p2align 4
    movl $.Lnumber, %r11d
    jmp .Lpython_tsan_capi_call
    .set .Lnumber, .Lnumber+1
    .endr
    .cfi_endproc
    .size python_tsan_capi_always, .-python_tsan_capi_always

    .p2align 5
    .type python_tsan_capi_call, @function
python_tsan_capi_call:
.Lpython_tsan_capi_call:
    .cfi_startproc
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    pushq %rax
    pushq %r9
    pushq %r8
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r10
    leaq python_tsan_capi_targets(%rip), %r10
    pushq (%r10,%r11,8)
    subq $136, %rsp
    andq $-16, %rsp
    movups %xmm0, (%rsp)
    movups %xmm1, 16(%rsp)
    movups %xmm2, 32(%rsp)
    movups %xmm3, 48(%rsp)
    movups %xmm4, 64(%rsp)
    movups %xmm5, 80(%rsp)
    movups %xmm6, 96(%rsp)
    movups %xmm7, 112(%rsp)
    leaq -56(%rbp), %r8
    movl %r11d, %edi
    movq 8(%rbp), %rsi
    leaq 16(%rbp), %rdx
    movq (%rbp), %rcx
    call python_tsan_capi_called
    movups (%rsp), %xmm0
    movups 16(%rsp), %xmm1
    movups 32(%rsp), %xmm2
    movups 48(%rsp), %xmm3
    movups 64(%rsp), %xmm4
    movups 80(%rsp), %xmm5
    movups 96(%rsp), %xmm6
    movups 112(%rsp), %xmm7
    leaq -72(%rbp), %rsp
    popq %r11
    popq %r10
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %r8
    popq %r9
    popq %rax
    popq %rbp
    .cfi_def_cfa %rsp, 8
    .cfi_restore %rbp
    jmp *%r11
    .cfi_endproc
    .size python_tsan_capi_call, .-python_tsan_capi_call
)");

#elif defined(__aarch64__)

namespace {
constexpr std::uint32_t quiet_bytes = 64, always_bytes = 16;
} // namespace

__asm__(R"(
    .text
    .p2align 6
    .hidden python_tsan_capi_quiet
    .globl python_tsan_capi_quiet
    .type python_tsan_capi_quiet, %function
python_tsan_capi_quiet:
    .cfi_startproc
    .set .Lnumber, 0
    .rept 4096
    .p2align 6
    adrp x16, :gottprel:_ZN13lock_recorder4selfE
    ldr x16, [x16, :gottprel_lo12:_ZN13lock_recorder4selfE]
    mrs x17, tpidr_el0
    ldrb w17, [x17, x16]
    mov w16, #.Lnumber
    cbnz w17, 1f
    b .Lpython_tsan_capi_call
1:  adrp x17, python_tsan_capi_targets
    add x17, x17, :lo12:python_tsan_capi_targets
    ldr x17, [x17, x16, lsl #3]
    br x17
    .set .Lnumber, .Lnumber+1
    .endr
    .cfi_endproc
    .size python_tsan_capi_quiet, .-python_tsan_capi_quiet

    .p2align 6
    .hidden python_tsan_capi_always
    .globl python_tsan_capi_always
    .type python_tsan_capi_always, %function
python_tsan_capi_always:
    .cfi_startproc
    .rept 8192
    .p2align 4
    mov w16, #.Lnumber
    b .Lpython_tsan_capi_call
    .set .Lnumber, .Lnumber+1
    .endr
    .cfi_endproc
    .size python_tsan_capi_always, .-python_tsan_capi_always

    .p2align 6
    .type python_tsan_capi_call, %function
python_tsan_capi_call:
.Lpython_tsan_capi_call:
    .cfi_startproc
    stp x29, x30, [sp, #-240]!
    .cfi_def_cfa_offset 240
    .cfi_offset 29, -240
    .cfi_offset 30, -232
    mov x29, sp
    .cfi_def_cfa_register 29
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x5, [sp, #48]
    stp x6, x7, [sp, #64]
    adrp x17, python_tsan_capi_targets
    add x17, x17, :lo12:python_tsan_capi_targets
    ldr x17, [x17, x16, lsl #3]
    stp x8, x17, [sp, #80]
    stp q0, q1, [sp, #96]
    stp q2, q3, [sp, #128]
    stp q4, q5, [sp, #160]
    stp q6, q7, [sp, #192]
    add x4, x29, #16
    mov w0, w16
    mov x1, x30
    add x2, x29, #240
    ldr x3, [x29]
    bl python_tsan_capi_called
    ldp q6, q7, [sp, #192]
    ldp q4, q5, [sp, #160]
    ldp q2, q3, [sp, #128]
    ldp q0, q1, [sp, #96]
    ldp x8, x17, [sp, #80]
    ldp x6, x7, [sp, #64]
    ldp x4, x5, [sp, #48]
    ldp x2, x3, [sp, #32]
    ldp x0, x1, [sp, #16]
    ldp x29, x30, [sp], #240
    .cfi_def_cfa sp, 0
    .cfi_restore 29
    .cfi_restore 30
    br x17
    .cfi_endproc
    .size python_tsan_capi_call, .-python_tsan_capi_call
)");

#endif

void* capi_stub(std::uint32_t number) {
    const char* stub = number < most_stubs
                           ? python_tsan_capi_quiet + std::uint64_t{number} * quiet_bytes
                           : python_tsan_capi_always + std::uint64_t{number - most_stubs} * always_bytes;
    return const_cast<char*>(stub);
}

} // namespace lock_recorder
