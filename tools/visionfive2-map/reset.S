// SPDX-License-Identifier: MIT
// What QEMU's virt machine runs first, in M-mode, as `-bios`, when it stands in for a VisionFive 2: it puts the RAM of the
// ivshmem device in PCI slot 1 at 0x4000_0000, where that board has its own, and goes on in the OpenSBI that the RAM file
// holds there, as the board's SPL does. NEXT is where OpenSBI goes on: 0x4020_0000 (the Image, straight away) or
// 0x8020_0000 (U-Boot, which is built for an address in virt's own RAM).
//
//   0x4000_0000  OpenSBI (fw_dynamic)      0x4600_0000  device tree
//   0x4020_0000  Image                     0x4610_0000  initrd
//
// The boot hart is the one of harts 1..4 that comes first, as by lot as on the board, and it waits for the others before
// any of them goes on. OpenSBI 1.5.1 must not draw it itself: a hart that comes after its lottery, as harts of an
// emulator on a busy host do, resets the word by which the boot hart lets the others go, and they wait for ever.
#define HARTS 4 /* 1..4; hart 0 is the monitor core */
#define ECAM_SLOT_1 (0x30000000 + (1 << 15)) /* bus 0, device 1, function 0 */
#define PCI_COMMAND 0x04
#define PCI_COMMAND_MEMORY 2
#define PCI_BAR2_LOW 0x18
#define PCI_BAR2_HIGH 0x1c
#define RAM 0x40000000
#define DEVICE_TREE 0x46000000

    .section .text
    .globl _start
_start:
    csrr a0, mhartid
    lla a2, fw_dynamic_info
    lla a3, boot_hart
    beqz a0, await_boot_hart // as the monitor core: none of OpenSBI's
    lla t1, arrived
    li t0, 1
    amoadd.w.aqrl t0, t0, (t1)
    bnez t0, await_boot_hart

    li t0, HARTS
await_others:
    lw t2, 0(t1)
    blt t2, t0, await_others
    li t0, ECAM_SLOT_1
    li t1, RAM
    sw t1, PCI_BAR2_LOW(t0)
    sw zero, PCI_BAR2_HIGH(t0)
    li t1, PCI_COMMAND_MEMORY
    sh t1, PCI_COMMAND(t0)
    fence
    sd a0, 0(a3)

await_boot_hart:
    ld t0, 0(a3)
    bltz t0, await_boot_hart
    fence
    fence.i
    li a1, DEVICE_TREE
    li t1, RAM
    jr t1

// struct fw_dynamic_info of OpenSBI, include/sbi/fw_dynamic.h, version 2.
    .balign 8
fw_dynamic_info:
    .dword 0x4942534f // magic "OSBI"
    .dword 2          // version
    .dword NEXT       // next_addr
    .dword 1          // next_mode: S
    .dword 0          // options
boot_hart:
    .dword -1
arrived:
    .dword 0
