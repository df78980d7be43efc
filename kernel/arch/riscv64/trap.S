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

#include "arch/riscv64/asm_offsets.hpp"

.section .text.trap, "ax"
.balign 4
.globl trap_entry
.type trap_entry, @function
trap_entry:
    .cfi_startproc simple
    csrrw tp, sscratch, tp          // tp = CpuLocal and sscratch = user tp, or tp = 0 from the kernel
    beqz tp, trap_from_kernel
    sd a0, CPU_SCRATCH(tp)
    ld a0, CPU_FRAME(tp)
    sd ra, FRAME_REG(1)(a0)
    sd sp, FRAME_REG(2)(a0)
    sd gp, FRAME_REG(3)(a0)
    .irp n, 5,6,7,8,9,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd x\n, FRAME_REG(\n)(a0)
    .endr
    ld t0, CPU_SCRATCH(tp)
    csrrw t1, sscratch, zero        // from here on a trap is the kernel's own
    csrr t2, sepc
    sd t0, FRAME_REG(10)(a0)
    sd t1, FRAME_REG(4)(a0)
    sd t2, FRAME_PC(a0)
    ld sp, CPU_STACK_TOP(tp)
    csrr a1, scause
    csrr a2, stval
    mv fp, zero
    mv ra, zero
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
