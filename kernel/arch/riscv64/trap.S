// SPDX-License-Identifier: MIT
// The one way into the kernel and the one way out.
//
// Register contract
//   In user mode:   sscratch = this hart's CpuLocal, tp = the program's own.
//   In the kernel:  sscratch = 0, tp = this hart's CpuLocal, sp = this hart's stack, interrupts off.
//   Invariant: sscratch != 0 exactly while sstatus.SPP will be User, so the swap below tells where a trap came from.
//   Entry from user mode stores the frame straight into the current task (CpuLocal.frame) and starts at the top of the
//   hart's stack: no state of an earlier entry is kept there. FP registers stay in the hart: the kernel has no FP
//   instruction but in the two functions at the end of this file (tests/lint/check_kernel_code.py).
//   Exit: trap_handle returns the frame to resume, which may belong to another task than the one that came in.
//
// System calls
//   A call first saves what C++ may overwrite: the caller-saved registers, sp, tp and pc. gp and s0..s11 stay in the hart,
//   where C++ leaves them as they are (it has no use for gp), and so does sepc, which no kernel code writes on the way.
//   The handler's result then says which of three ways it goes on (kernel/init/trap_call.cpp does the same in C++):
//     straight back   the task runs on at once: only what was saved is loaded again, all of it, so no register of the
//                     kernel is seen by the program. Nothing else looks at the frame meanwhile: it is this task's.
//     leave           somebody else may run: the frame is completed first and is then like that of any trap
//     whole frame     the handler reads or writes all registers (fork, rt_sigreturn): likewise, before it runs
//   Page faults go the same way: trap_page_fault says whether the program runs on at once, or the frame is completed and
//   the trap handled like any other.
//   trap_entry_whole is trap_entry without that: every call is a trap like any other (neuron.paths=general).

#include "arch/riscv64/asm_offsets.hpp"

// Switches to the kernel's tp and saves the registers a C++ function may overwrite, but for tp and a0, which are still in
// sscratch and CPU_SCRATCH. After it: a0 = frame.
.macro save_caller_saved
    csrrw tp, sscratch, tp          // tp = CpuLocal and sscratch = user tp, or tp = 0 from the kernel
    beqz tp, trap_from_kernel
    sd a0, CPU_SCRATCH(tp)
    ld a0, CPU_FRAME(tp)
    .irp n, 1,2,5,6,7,11,12,13,14,15,16,17,28,29,30,31
    sd x\n, FRAME_REG(\n)(a0)
    .endr
.endm

// Completes the frame in a0, on the kernel's stack.
.macro save_the_rest
    .irp n, 3,8,9,18,19,20,21,22,23,24,25,26,27
    sd x\n, FRAME_REG(\n)(a0)
    .endr
    mv fp, zero                     // ends backtraces
    mv ra, zero
.endm

// Saves tp, a0 and the address in t2, and goes to the kernel's stack.
.macro enter_kernel
    ld t0, CPU_SCRATCH(tp)
    csrrw t1, sscratch, zero        // from here on a trap is the kernel's own
    sd t0, FRAME_REG(10)(a0)
    sd t1, FRAME_REG(4)(a0)
    sd t2, FRAME_PC(a0)
    ld sp, CPU_STACK_TOP(tp)
.endm

.section .text.trap, "ax"
.balign 4
.globl trap_entry
.type trap_entry, @function
trap_entry:
    .cfi_startproc simple
    save_caller_saved
    csrr t0, scause
    li t1, CAUSE_ECALL
    csrr t2, sepc
    bne t0, t1, trap_other
    addi t2, t2, 4                  // behind the ecall; there is no compressed one
    csrw sepc, t2
    enter_kernel
#ifdef NEURON_DEBUG
    j any_call
#else
    // A call of the Linux block: trap_call() without its frame, see task/straight_back.hpp.
    li t0, CALL_TABLE_ENTRIES
    bgeu a7, t0, any_call
    lla t1, trap_call_table
    slli t0, a7, 3
    add t1, t1, t0
    ld t1, 0(t1)
    addi a0, a0, -TASK_FRAME
    jalr t1                         // (Task&) -> SysResult
    lui t2, CALL_NO_VALUE_UPPER
    ld t1, CPU_SCHEDULING(tp)
    ld t0, CPU_FRAME(tp)
    ble a0, t2, no_value
    lbu t1, HART_RECHECK(t1)
    lw t2, FRAME_EXIT_WORK(t0)
    or t1, t1, t2
    bnez t1, not_straight
    sd zero, FRAME_CALL_PROGRESS(t0)
#endif
straight_back:
    // FRAME_PC is not loaded: sepc is as it was set above.
#if CPU_SCRATCH != 0
#error "sc has no offset"
#endif
    sc.d zero, zero, (tp)           // ends a reservation, as in return_to_user
    csrw sscratch, tp
    .irp n, 1,2,6,7,11,12,13,14,15,16,17,28,29,30,31
    ld x\n, FRAME_REG(\n)(t0)
    .endr
    ld tp, FRAME_REG(4)(t0)
    ld t0, FRAME_REG(5)(t0)
    sret
#ifndef NEURON_DEBUG
no_value:
    // Of a call that waits settle_call() does nothing, unless it is traced and the switch is not; then the exit path,
    // as trap_leave() does. Calls that go on, or want all registers, go through C++, as those with a value do.
    blt a0, t2, not_straight
    lbu t1, _ZN6kernel5trace8switchesE + TRACE_CALLS_ALONE
    bnez t1, not_straight
leave_at_once:
    mv a0, t0
    save_the_rest
    jal _ZN6kernel4task14switch_at_onceEv   // () -> frame to resume, or null
    bnez a0, return_to_user
    call _ZN6kernel4task12exit_to_userEv    // () -> frame to resume
    j return_to_user
not_straight:
    mv a1, a0
    mv a0, t0
    save_the_rest
    call trap_go_on                 // (frame, SysResult) -> frame to resume
    j return_to_user
#endif
any_call:
    jal trap_call                   // (frame) -> a0 = result or what is left, a1 = whether it goes straight back
    ld t0, CPU_FRAME(tp)
    bnez a1, straight_back
leave:
    mv a1, a0
    ld a0, CPU_FRAME(tp)
    save_the_rest
    call trap_leave                 // (frame, what is left) -> frame to resume
    j return_to_user

.globl trap_entry_whole
.balign 4
trap_entry_whole:
    save_caller_saved
    csrr t2, sepc
    enter_kernel
    j trap_whole
trap_other:
    enter_kernel
    csrr a1, scause
    li t0, CAUSE_FIRST_PAGE_FAULT
    bltu a1, t0, trap_whole
    li t0, CAUSE_LAST_PAGE_FAULT    // interrupts have the highest bit
    bltu t0, a1, trap_whole
    csrr a2, stval
    jal trap_page_fault             // (frame, scause, stval) -> a0 = whether all is done
    mv t1, a0
    ld a0, CPU_FRAME(tp)
    beqz t1, trap_whole             // scause and stval are as they were: there was no other trap
    mv t0, a0                       // FRAME_PC is what sepc still is
    ld a0, FRAME_REG(10)(t0)
    j straight_back
trap_whole:
    save_the_rest
    csrr a1, scause
    csrr a2, stval
    call trap_handle                // (frame, scause, stval) -> frame to resume
    .cfi_endproc
    // falls through

// a0 = frame to resume; sstatus.FS is set for it; tp = CpuLocal.
.globl return_to_user
.type return_to_user, @function
return_to_user:
    sd a0, CPU_FRAME(tp)
    ld t0, FRAME_PC(a0)
    // Ends a reservation another task's lr may have left on this hart, or this task's sc could succeed on it. Storing the
    // word just loaded does no harm where it succeeds. (An emulator forgets reservations at traps; hardware need not.)
#if FRAME_PC != 0
#error "sc has no offset"
#endif
    sc.d zero, t0, (a0)
    csrw sepc, t0
    csrw sscratch, tp
    ld ra, FRAME_REG(1)(a0)
    ld sp, FRAME_REG(2)(a0)
    ld gp, FRAME_REG(3)(a0)
    ld tp, FRAME_REG(4)(a0)
    .irp n, 5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld x\n, FRAME_REG(\n)(a0)
    .endr
    ld a0, FRAME_REG(10)(a0)
    sret
.size return_to_user, . - return_to_user

// A trap inside the kernel is a kernel bug. Reported on the emergency stack, because sp may be what is broken.
.type trap_from_kernel, @function
trap_from_kernel:
    csrrw tp, sscratch, zero        // tp = CpuLocal again
    sd a0, CPU_SCRATCH(tp)
    lla a0, kernel_trap_frame
    sd ra, FRAME_REG(1)(a0)
    sd sp, FRAME_REG(2)(a0)
    .irp n, 3,4,5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, FRAME_REG(\n)(a0)
    .endr
    ld t0, CPU_SCRATCH(tp)
    sd t0, FRAME_REG(10)(a0)
    csrr t0, sepc
    sd t0, FRAME_PC(a0)
    csrr a1, scause
    csrr a2, stval
    lla sp, emergency_stack_top
    call trap_in_kernel             // (frame, scause, stval), never returns
    unimp
.size trap_from_kernel, . - trap_from_kernel
.size trap_entry, . - trap_entry

// void arch_save_fp(FpState* a0), void arch_restore_fp(const FpState* a0). Pre: sstatus.FS is not Off.
// The kernel is built without F and D; these two are the only users.
.option push
.option arch, +f, +d
.globl arch_save_fp
.type arch_save_fp, @function
arch_save_fp:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fsd f\n, FP_REG(\n)(a0)
    .endr
    frcsr t0
    sd t0, FP_FCSR(a0)
    ret
.size arch_save_fp, . - arch_save_fp

.globl arch_restore_fp
.type arch_restore_fp, @function
arch_restore_fp:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\n, FP_REG(\n)(a0)
    .endr
    ld t0, FP_FCSR(a0)
    fscsr t0
    ret
.size arch_restore_fp, . - arch_restore_fp
.option pop

.section .bss.emergency, "aw", @nobits
.balign 16
.globl kernel_trap_frame
kernel_trap_frame:
    .space FRAME_SIZE
    .space 8192
emergency_stack_top:
