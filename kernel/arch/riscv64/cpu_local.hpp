// SPDX-License-Identifier: MIT
// CpuLocal: what a hart needs to find without a table, at the address in tp while in the kernel. The first
// fields are used by trap.S; everything else about a hart lives in arrays indexed by CpuId. Concurrency:
// hart-local; written by the starting hart before the owner runs, by the owner afterwards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/riscv64/trap_frame.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"

namespace kernel::arch {

// Lines of its own: each entry into the kernel writes to the first.
struct alignas(64) CpuLocal {
    std::uint64_t scratch{0};      // trap.S, between two instructions
    TrapFrame* frame{nullptr};     // where the next entry from user mode stores its registers
    std::uint64_t stack_top{0};    // this hart's kernel stack
    std::uint64_t entry_ticks{0};  // counter at the last entry into the kernel
    CpuId cpu{};
    void* traced{nullptr};      // as `trace`, while the scheduler's category is on
    void* scheduling{nullptr};  // task::Hart of this hart; the task layer's
    void* trace{nullptr};       // trace::Ring of this hart, once that has memory; the trace layer's
    HartId hart{};
    bool is_only{false};  // has_one_hart (sync/spinlock.hpp)
};
static_assert(offsetof(CpuLocal, scratch) == CPU_SCRATCH);
static_assert(offsetof(CpuLocal, frame) == CPU_FRAME);
static_assert(offsetof(CpuLocal, stack_top) == CPU_STACK_TOP);
static_assert(offsetof(CpuLocal, entry_ticks) == CPU_ENTRY_TIME);
static_assert(offsetof(CpuLocal, scheduling) == CPU_SCHEDULING);

// Passed by physical address to secondary_start.
struct SecondaryBoot {
    std::uint64_t satp;
    CpuLocal* cpu_local;
};
static_assert(offsetof(SecondaryBoot, satp) == BOOT_SATP);
static_assert(offsetof(SecondaryBoot, cpu_local) == BOOT_CPU_LOCAL);

[[nodiscard]] inline CpuLocal& cpu_local() {
    CpuLocal* local;
    asm("mv %0, tp" : "=r"(local));
    return *local;
}

// CpuLocal::is_only of this hart, in one instruction; it does not change while code that asks runs.
[[nodiscard, gnu::always_inline]] inline bool is_only_hart() {
    std::uint64_t is_only;
    asm("lbu %0, %1(tp)" : "=r"(is_only) : "i"(offsetof(CpuLocal, is_only)));
    return is_only != 0;
}

// The per-hart data of every possible CPU. Entries are filled before their hart starts.
extern std::array<CpuLocal, kMaxCpus> cpu_locals;

}  // namespace kernel::arch
