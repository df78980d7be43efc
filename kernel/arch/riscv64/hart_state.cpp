// SPDX-License-Identifier: MIT
#include "arch/riscv64/hart_state.hpp"

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "arch/riscv64/csr.hpp"

extern "C" const char trap_entry[];
extern "C" const char trap_entry_whole[];

namespace kernel::arch {

namespace {

using riscv64::clear_csr_bits;
using riscv64::Csr;
using riscv64::read_csr;
using riscv64::set_csr_bits;
using riscv64::write_csr;

// Written by the boot hart before others start.
constinit bool has_general_paths_only = false;

constexpr std::uint64_t kUserCounters = 7;  // scounteren: cycle, time, instret

// Reads senvcfg, which traps where it does not exist: the trap comes back here. It leaves its marks in
// sstatus, sepc, scause and stval.
std::optional<std::uint64_t> try_read_senvcfg() {
    std::uint64_t handler;
    std::uint64_t value;
    std::uint64_t exists;
    asm volatile(
        "lla %[handler], 1f\n\t"
        "csrrw %[handler], stvec, %[handler]\n\t"
        "li %[exists], 0\n\t"
        "li %[value], 0\n\t"
        "csrr %[value], %[senvcfg]\n\t"
        "li %[exists], 1\n\t"
        ".balign 4\n"
        "1:\n\t"
        "csrw stvec, %[handler]"
        : [handler] "=&r"(handler), [value] "=&r"(value), [exists] "=&r"(exists)
        : [senvcfg] "i"(static_cast<std::uint16_t>(Csr::Senvcfg))
        : "memory");
    if (exists == 0) {
        return std::nullopt;
    }
    return value;
}

}  // namespace

void use_general_paths() {
    has_general_paths_only = true;
}

void set_hart_state() {
    const char* const entry = has_general_paths_only ? trap_entry_whole : trap_entry;
    write_csr<Csr::Stvec>(reinterpret_cast<std::uint64_t>(entry));
    if (try_read_senvcfg().has_value()) {
        write_csr<Csr::Senvcfg>(0);
    }
    write_csr<Csr::Sscratch>(0);
    write_csr<Csr::Scounteren>(kUserCounters);
    set_timer(Instant::never());
    acknowledge_ipi();
    write_csr<Csr::Sie>(kPendingSoftware | kPendingTimer | kPendingExternal);
    namespace sstatus = riscv64::sstatus;
    clear_csr_bits<Csr::Sstatus>(sstatus::kSie | sstatus::kSpp | sstatus::kUbe | sstatus::kVsMask |
                                 sstatus::kFsMask | sstatus::kSum | sstatus::kMxr);
    set_csr_bits<Csr::Sstatus>(sstatus::kSpie | sstatus::kFsClean);
}

HartState read_hart_state() {
    const std::uint64_t sstatus = read_csr<Csr::Sstatus>();
    HartState state{.sstatus = sstatus,
                    .sie = read_csr<Csr::Sie>(),
                    .stvec = read_csr<Csr::Stvec>(),
                    .sscratch = read_csr<Csr::Sscratch>(),
                    .scounteren = read_csr<Csr::Scounteren>(),
                    .satp = read_csr<Csr::Satp>(),
                    .senvcfg = 0,
                    .has_senvcfg = false};
    if (const std::optional<std::uint64_t> senvcfg = try_read_senvcfg(); senvcfg.has_value()) {
        state.senvcfg = *senvcfg;
        state.has_senvcfg = true;
    }
    write_csr<Csr::Sstatus>(sstatus);  // as it was before the read that may trap
    return state;
}

}  // namespace kernel::arch
