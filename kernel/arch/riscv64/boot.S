// SPDX-License-Identifier: MIT
// Entry of the boot hart and of every hart started later.
//
// Register contract
//   _start (from firmware, RISC-V boot protocol): a0 = hart id, a1 = physical address of the device tree, satp = 0,
//     S-mode, interrupts off. Any physical base that is a multiple of 2 MiB.
//   secondary_start (from SBI hart_start): a0 = hart id, a1 = physical address of a SecondaryBoot, satp = 0.
//   Both end in C++ with tp = CpuLocal, sscratch = 0, sp = top of a stack, and never return.
//
// The image is linked at kImageBase (mm/layout.hpp). Until the MMU is on, only pc-relative addresses are right. It is
// turned on by a fault: stvec holds the next instruction's high address, so no identity map is needed.

#include "arch/riscv64/asm_offsets.hpp"

#define SATP_MODE_SV39 (8 << 60)
#define PTE_V_R_W_X_A_D 0xcf
#define PTE_V_R_W_A_D 0xc7
#define PTE_V 0x01
// SIE, UBE, VS, FS, SUM, MXR, SDT: what must be off in the kernel.
#define SSTATUS_OFF 0x10c6642

#define SBI_LEGACY_PUTCHAR 1
// SBI hart state management (SBI 2.0, chapter 9)
#define SBI_HSM 0x48534d
#define SBI_HART_GET_STATUS 2
#define SBI_HART_STOPPED 1

.section .head.text, "ax"
.globl _start
.type _start, @function
_start:
    // Linux' RISC-V Image header (Documentation/arch/riscv/boot-image-header.rst); tools/check_image.py reads it back.
    .option push
    .option norvc
    j boot_entry
    .word 0
    .option pop
    .dword 0x200000             // text_offset: 2 MiB above the start of RAM, past the firmware
    .dword image_size           // includes .bss (kernel.ld)
    .dword 0                    // flags: little-endian
    .word 2                     // version 0.2
    .word 0
    .dword 0
    .ascii "RISCV\0\0\0"
    .ascii "RSC\x05"
    .word 0
.size _start, . - _start

.type boot_entry, @function
boot_entry:
    csrw sie, zero
    csrw sip, zero
    // Firmware without HSM sends every hart here: the first one boots, the others wait for good.
    lla t0, boot_claimed
    li t1, 1
    amoswap.w.aqrl t1, t1, (t0)
    bnez t1, park
claimed:
    // Keep the firmware's arguments where the loops below do not reach.
    mv s0, a0
    mv s1, a1
    lla s2, _start              // physical base of the image
    rdtime s4
    slli t0, s2, 64 - 21
    bnez t0, misplaced          // the tables below map large pages

    // Zero .bss: its bounds are 16-byte aligned.
    lla t0, bss_start
    lla t1, bss_end
1:  sd zero, 0(t0)
    sd zero, 8(t0)
    addi t0, t0, 16
    bltu t0, t1, 1b

    // Boot page table, root: entries 256..383 map physical 0..128 GiB as the physmap, one gigapage each.
    lla t0, boot_root
    li t1, 256 * 8
    add t1, t0, t1              // &root[256]
    li t2, PTE_V_R_W_A_D
    li t3, (1 << 30) >> 2       // a gigabyte in PTE units
    li t4, 128
2:  sd t2, 0(t1)
    addi t1, t1, 8
    add t2, t2, t3
    addi t4, t4, -1
    bnez t4, 2b

    // Entry 510 holds the image: 2 MiB pages from its physical base. Writable and executable until the final map.
    lla t1, boot_image_table
    srli t2, t1, 2
    ori t2, t2, PTE_V
    li t3, 510 * 8
    add t3, t0, t3
    sd t2, 0(t3)
    srli t2, s2, 2
    ori t2, t2, PTE_V_R_W_X_A_D
    li t3, (2 << 20) >> 2
    li t4, 512
3:  sd t2, 0(t1)
    addi t1, t1, 8
    add t2, t2, t3
    addi t4, t4, -1
    bnez t4, 3b

    srli t0, t0, 12
    li t1, SATP_MODE_SV39
    or t0, t0, t1
    lla t1, high_boot_address
    ld t1, 0(t1)
    csrw stvec, t1
    sfence.vma
    csrw satp, t0
    nop                         // faults here, and goes on at high_boot
.balign 4
high_boot:
    lla t0, trap_entry
    csrw stvec, t0
    csrw sscratch, zero
    lla tp, boot_cpu_local
    lla sp, boot_stack_top
    sd sp, CPU_STACK_TOP(tp)
    li s3, SSTATUS_OFF
    csrc sstatus, s3            // programs get FS back; vector registers are nobody's, they are not saved
    mv a0, s0
    mv a1, s1
    mv a2, s2
    mv a3, s4
    mv fp, zero                 // fp is s0: ends backtraces
    mv ra, zero
    call boot_main
    unimp
.size boot_entry, . - boot_entry

// Says why by the oldest console call there is, which needs no memory.
.type misplaced, @function
misplaced:
    lla s0, misplaced_text
1:  lbu a0, 0(s0)
    beqz a0, park
    li a7, SBI_LEGACY_PUTCHAR
    ecall
    addi s0, s0, 1
    j 1b
.size misplaced, . - misplaced

.type park, @function
park:
    wfi
    j park
.size park, . - park

.balign 8
high_boot_address:
    .dword high_boot

// From SBI hart_start, when the command line wants another boot hart: a0 = hart id, a1 = device tree. The old boot hart
// still needs its stack and page table, which lie in the .bss that is cleared next: wait until it has stopped.
.globl moved_start
.type moved_start, @function
moved_start:
    mv s0, a0
    mv s1, a1
    lla t0, moved_from_hart
    ld s2, 0(t0)
1:  mv a0, s2
    li a6, SBI_HART_GET_STATUS
    li a7, SBI_HSM
    ecall
    bnez a0, 2f                 // the firmware does not say: go on
    li t0, SBI_HART_STOPPED
    bne a1, t0, 1b
2:  mv a0, s0
    mv a1, s1
    csrw sie, zero
    csrw sip, zero
    j claimed
.size moved_start, . - moved_start

.globl secondary_start
.type secondary_start, @function
secondary_start:
    csrw sie, zero
    csrw sip, zero
    ld t0, BOOT_SATP(a1)
    ld t2, BOOT_CPU_LOCAL(a1)
    lla t1, high_secondary_address
    ld t1, 0(t1)
    csrw stvec, t1
    sfence.vma
    csrw satp, t0
    nop                         // faults here, and goes on at high_secondary
.balign 4
high_secondary:
    lla t0, trap_entry
    csrw stvec, t0
    csrw sscratch, zero
    mv tp, t2
    ld sp, CPU_STACK_TOP(tp)
    li t0, SSTATUS_OFF
    csrc sstatus, t0
    mv fp, zero
    mv ra, zero
    call secondary_main
    unimp
.size secondary_start, . - secondary_start

.balign 8
high_secondary_address:
    .dword high_secondary

// Leaves the boot stack for good: a0 = new stack top, a1 = function to call, never returns.
.globl arch_call_on_stack
.type arch_call_on_stack, @function
arch_call_on_stack:
    mv sp, a0
    mv fp, zero
    mv ra, zero
    jalr a1
    unimp
.size arch_call_on_stack, . - arch_call_on_stack

.section .rodata
misplaced_text:
    .asciz "\r\nNEURON: the image must lie at a multiple of 2 MiB\r\n"

.section .data
.balign 8
boot_claimed:
    .word 0
.balign 8
.globl moved_from_hart
moved_from_hart:
    .dword 0

.section .bss.boot, "aw", @nobits
.balign 4096
.globl boot_root
boot_root:
    .space 4096
boot_image_table:
    .space 4096
boot_stack:
    .space 16384
boot_stack_top:
