// SPDX-License-Identifier: MIT
// In the kernel's place: prints the clock as it stands when the firmware is done, in ticks and hexadecimal, and powers off.
// In: as a kernel of the SBI, at any address. One hart runs, the others were never started.
    .section .text
    .globl _start
_start:
    rdtime s0
    lla s1, text
1:  lbu a0, 0(s1)
    beqz a0, 2f
    call put
    addi s1, s1, 1
    j 1b
2:  li s2, 60 // shift of the digit
3:  srl a0, s0, s2
    andi a0, a0, 15
    li t0, 10
    blt a0, t0, 4f
    addi a0, a0, 'a' - 10 - '0'
4:  addi a0, a0, '0'
    call put
    addi s2, s2, -4
    bgez s2, 3b
    li a0, '\n'
    call put
    // SBI System Reset: shutdown, no reason.
    li a7, 0x53525354
    li a6, 0
    li a0, 0
    li a1, 0
    ecall
5:  wfi
    j 5b

// SBI legacy console: every firmware has it. In: a0. Clobbers a0, a7.
put:
    li a7, 1
    ecall
    ret

text:
    .asciz "BENCH firmware.ticks 0x"
