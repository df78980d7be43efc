// SPDX-License-Identifier: MIT
#include "smp/bringup.hpp"

#include <array>
#include <atomic>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "arch/riscv64/csr.hpp"
#include "arch/riscv64/sbi.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/log.hpp"
#include "lib/result.hpp"
#include "smp/arrival.hpp"

extern "C" const char secondary_start[];

namespace kernel::smp {

namespace {

constinit std::array<Arrival, kMaxCpus> arrivals{};
// Read by starting harts with the MMU off; written before they start.
constinit std::array<arch::SecondaryBoot, kMaxCpus> boot_blocks{};

constinit AtomicCpuMask running;
// More than any stack is; a hart on another one's stack is further off.
constexpr std::uint64_t kPlausibleStackBytes = std::uint64_t{16} << 10;

Result<void> ask_firmware(CpuId cpu, PhysAddr page_table_root) {
    arch::CpuLocal& local = arch::cpu_locals[cpu.value()];
    arch::SecondaryBoot& block = boot_blocks[cpu.value()];
    block = {.satp = arch::riscv64::satp::sv39(page_table_root.value() >> 12, 0), .cpu_local = &local};
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return arch::sbi::start_hart(local.hart, arch::image_physical(secondary_start),
                                 arch::image_physical(&block).value());
}

bool await_arrival(CpuId cpu, Instant deadline) {
    Arrival& arrival = arrivals[cpu.value()];
    while (!arrival.has_come()) {
        if (arch::now() >= deadline) {
            return !arrival.give_up();
        }
        arch::cpu_relax();
    }
    return true;
}

}  // namespace

bool start_hart(CpuId cpu, PhysAddr page_table_root) {
    const HartId hart = arch::cpu_locals[cpu.value()].hart;
    const Instant deadline = arch::now() + kArrivalDeadline;
    if (const auto result = ask_firmware(cpu, page_table_root); !result.ok()) {
        log::warn("cpu", cpu, " (hart ", hart, "): the firmware does not start it, error ",
                  static_cast<std::uint32_t>(result.error()));
        return false;
    }
    if (!await_arrival(cpu, deadline)) {
        log::warn("cpu", cpu, " (hart ", hart, ") was started and did not come; going on without it");
        return false;
    }
    return true;
}

bool report_arrival() {
    return arrivals[arch::current_cpu().value()].report();
}

void note_running() {
    const arch::CpuLocal& local = arch::cpu_local();
    const bool has_own_place = &local == &arch::cpu_locals[local.cpu.value()];
    const auto here = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
    const bool has_own_stack = here < local.stack_top && local.stack_top - here < kPlausibleStackBytes;
    if (has_own_place && has_own_stack) {
        running.add(local.cpu);
    }
}

CpuMask running_cpus() {
    return running.load();
}

void park_this_hart() {
    static_cast<void>(arch::sbi::stop_this_hart());
    while (true) {
        arch::wait_for_interrupt();
    }
}

}  // namespace kernel::smp
