// SPDX-License-Identifier: MIT
// Offsets assembly uses. Preprocessor definitions only; trap_frame.hpp and smp/cpu_local.hpp assert each one.
#pragma once

// struct TrapFrame: x1..x31 at 8 * n, the program counter in the unused slot of x0.
#define FRAME_PC 0
#define FRAME_REG(n) (8 * (n))
#define FRAME_SIZE 256

// struct FpState: f0..f31, then fcsr.
#define FP_REG(n) (8 * (n))
#define FP_FCSR 256

// struct CpuLocal
#define CPU_SCRATCH 0
#define CPU_FRAME 8
#define CPU_STACK_TOP 16
#define CPU_ENTRY_TIME 24
#define CPU_SCHEDULING 48

// struct task::Hart
#define HART_RECHECK 8

// class task::Task, but for the first one as seen from its frame
#define TASK_FRAME 8
#define FRAME_CALL_PROGRESS 256
#define FRAME_EXIT_WORK 264

// struct SecondaryBoot: what hart_start passes to a starting hart.
#define BOOT_SATP 0
#define BOOT_CPU_LOCAL 8

// scause: an ecall in user mode; page faults lie between the other two (csr.hpp asserts it).
#define CAUSE_ECALL 8
#define CAUSE_FIRST_PAGE_FAULT 12
#define CAUSE_LAST_PAGE_FAULT 15

// trace::Switches: whether calls are traced that wait, and nothing else tells that they do.
#define TRACE_CALLS_ALONE 12
// trap_call_table of kernel/syscall/dispatch.cpp: how many entries; and what a SysResult up to this is no
// value.
#define CALL_TABLE_ENTRIES 512
#define CALL_NO_VALUE (-4096)
#define CALL_NO_VALUE_UPPER 0xfffff  // as lui loads it
