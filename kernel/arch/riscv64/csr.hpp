// SPDX-License-Identifier: MIT
// Supervisor control and status registers: numbers, field names and the four accesses. "Priv" below is The
// RISC-V Instruction Set Manual, Volume II: Privileged Architecture, version 20211203; Sstc is its own
// ratified extension. Concurrency: a CSR belongs to the hart that executes the access.
#pragma once

#include <cstdint>

#include "arch/riscv64/asm_offsets.hpp"

namespace kernel::arch::riscv64 {

// Numbers: Priv chapter 2, table 2.3 (supervisor) and 2.2 (unprivileged counters).
enum class Csr : std::uint16_t {
    Fcsr = 0x003,
    Sstatus = 0x100,
    Sie = 0x104,
    Stvec = 0x105,
    Scounteren = 0x106,
    Senvcfg = 0x10a,  // Priv 1.12; traps on older harts
    Sscratch = 0x140,
    Sepc = 0x141,
    Scause = 0x142,
    Stval = 0x143,
    Sip = 0x144,
    Siselect = 0x150,  // Ssaia (AIA 1.0, table 2.2): these three trap where it is absent
    Sireg = 0x151,
    Stimecmp = 0x14d,  // Sstc 1.0, chapter 2; traps where the extension is absent
    Stopei = 0x15c,
    Satp = 0x180,
    Cycle = 0xc00,
    Time = 0xc01,
    Instret = 0xc02,
};

template <Csr Register>
[[nodiscard]] inline std::uint64_t read_csr() {
    std::uint64_t value;
    asm volatile("csrr %0, %1" : "=r"(value) : "i"(static_cast<std::uint16_t>(Register)) : "memory");
    return value;
}

template <Csr Register>
inline void write_csr(std::uint64_t value) {
    asm volatile("csrw %0, %1" : : "i"(static_cast<std::uint16_t>(Register)), "r"(value) : "memory");
}

template <Csr Register>
inline void set_csr_bits(std::uint64_t bits) {
    asm volatile("csrs %0, %1" : : "i"(static_cast<std::uint16_t>(Register)), "r"(bits) : "memory");
}

template <Csr Register>
inline void clear_csr_bits(std::uint64_t bits) {
    asm volatile("csrc %0, %1" : : "i"(static_cast<std::uint16_t>(Register)), "r"(bits) : "memory");
}

// Writes `value` and returns what was there, in one instruction.
template <Csr Register>
[[nodiscard]] inline std::uint64_t exchange_csr(std::uint64_t value) {
    std::uint64_t old;
    asm volatile("csrrw %0, %1, %2"
                 : "=r"(old)
                 : "i"(static_cast<std::uint16_t>(Register)), "r"(value)
                 : "memory");
    return old;
}

// sstatus: Priv 4.1.1.
namespace sstatus {
inline constexpr std::uint64_t kSie = std::uint64_t{1} << 1;      // interrupts enabled in S-mode
inline constexpr std::uint64_t kSpie = std::uint64_t{1} << 5;     // SIE before the trap; SRET restores it
inline constexpr std::uint64_t kUbe = std::uint64_t{1} << 6;      // user mode is big-endian: stays 0
inline constexpr std::uint64_t kSpp = std::uint64_t{1} << 8;      // the trap came from S-mode
inline constexpr std::uint64_t kFsMask = std::uint64_t{3} << 13;  // state of the FP unit, Priv 3.1.6.6
inline constexpr std::uint64_t kFsOff = std::uint64_t{0} << 13;
inline constexpr std::uint64_t kFsInitial = std::uint64_t{1} << 13;
inline constexpr std::uint64_t kFsClean = std::uint64_t{2} << 13;
inline constexpr std::uint64_t kFsDirty = std::uint64_t{3} << 13;
inline constexpr std::uint64_t kVsMask = std::uint64_t{3} << 9;  // state of the vector unit (V 1.0, 3.2)
inline constexpr std::uint64_t kSum = std::uint64_t{1} << 18;    // S-mode may touch user pages: stays 0
inline constexpr std::uint64_t kMxr = std::uint64_t{1} << 19;    // loads may read execute-only pages: stays 0
}  // namespace sstatus

// sie and sip: Priv 4.1.3. Bit number = the interrupt's code in scause.
namespace interrupt_bit {
inline constexpr std::uint64_t kSoftware = std::uint64_t{1} << 1;
inline constexpr std::uint64_t kTimer = std::uint64_t{1} << 5;
inline constexpr std::uint64_t kExternal = std::uint64_t{1} << 9;
}  // namespace interrupt_bit

// scause: Priv 4.1.8, table 4.2.
namespace scause {
inline constexpr std::uint64_t kInterrupt = std::uint64_t{1} << 63;
inline constexpr std::uint64_t kSoftwareInterrupt = kInterrupt | 1;
inline constexpr std::uint64_t kTimerInterrupt = kInterrupt | 5;
inline constexpr std::uint64_t kExternalInterrupt = kInterrupt | 9;
inline constexpr std::uint64_t kInstructionMisaligned = 0;
inline constexpr std::uint64_t kInstructionAccessFault = 1;
inline constexpr std::uint64_t kIllegalInstruction = 2;
inline constexpr std::uint64_t kBreakpoint = 3;
inline constexpr std::uint64_t kLoadMisaligned = 4;
inline constexpr std::uint64_t kLoadAccessFault = 5;
inline constexpr std::uint64_t kStoreMisaligned = 6;
inline constexpr std::uint64_t kStoreAccessFault = 7;
inline constexpr std::uint64_t kEcallFromUser = 8;
static_assert(kEcallFromUser == CAUSE_ECALL);
inline constexpr std::uint64_t kEcallFromSupervisor = 9;
inline constexpr std::uint64_t kInstructionPageFault = 12;
inline constexpr std::uint64_t kLoadPageFault = 13;
inline constexpr std::uint64_t kStorePageFault = 15;
static_assert(kInstructionPageFault == CAUSE_FIRST_PAGE_FAULT && kStorePageFault == CAUSE_LAST_PAGE_FAULT);
}  // namespace scause

// satp: Priv 4.1.11.
namespace satp {
inline constexpr std::uint64_t kModeSv39 = std::uint64_t{8} << 60;
inline constexpr std::uint32_t kAsidShift = 44;
inline constexpr std::uint64_t kAsidMask = std::uint64_t{0xffff} << kAsidShift;
inline constexpr std::uint64_t kPpnMask = (std::uint64_t{1} << 44) - 1;
// The value that makes the page table whose root is physical page number `root_ppn` current.
[[nodiscard]] constexpr std::uint64_t sv39(std::uint64_t root_ppn, std::uint16_t asid) {
    return kModeSv39 | (std::uint64_t{asid} << kAsidShift) | (root_ppn & kPpnMask);
}
}  // namespace satp

}  // namespace kernel::arch::riscv64
