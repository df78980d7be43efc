// SPDX-License-Identifier: MIT
#include "smp/bringup.hpp"

#include <array>
#include <atomic>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "arch/riscv64/sbi.hpp"
#include "lib/log.hpp"
#include "mm/kernel_map.hpp"

extern "C" const char secondary_start[];
extern "C" const char image_start[];

namespace kernel::smp {

namespace {

enum class Arrival : std::uint32_t { Expected, Came, GivenUp };

constinit std::array<std::atomic<Arrival>, kMaxCpus> arrivals{};
// Read by starting harts with the MMU off; written before they start.
constinit std::array<arch::SecondaryBoot, kMaxCpus> boot_blocks{};

constexpr std::uint64_t kSatpSv39 = std::uint64_t{8} << 60;

// The image is mapped linearly, so one known pair of addresses gives all.
PhysAddr image_physical(const void* address) {
    const auto offset = reinterpret_cast<std::uint64_t>(address) - reinterpret_cast<std::uint64_t>(image_start);
    return arch::image_base() + offset;
}

Result<void> start_hart(CpuId cpu) {
    arch::CpuLocal& local = arch::cpu_locals[cpu.value()];
    local.stack_top = TRY(mm::kernel_map().map_stack(cpu)).value();
    local.cpu = cpu;
    arch::SecondaryBoot& block = boot_blocks[cpu.value()];
    block = {.satp = kSatpSv39 | (mm::kernel_map().root().value() >> 12), .cpu_local = &local};
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return arch::sbi::start_hart(local.hart, image_physical(secondary_start), image_physical(&block).value());
}

}  // namespace

CpuMask start_harts(CpuMask cpus) {
    CpuMask started;
    cpus.for_each([&](CpuId cpu) {
        if (const auto result = start_hart(cpu); result.ok()) {
            started.add(cpu);
        } else {
            log::warn("cpu", cpu, " (hart ", arch::cpu_locals[cpu.value()].hart,
                      "): the firmware does not start it, error ", static_cast<std::uint32_t>(result.error()));
        }
    });
    return started;
}

bool await_hart(CpuId cpu, Instant deadline) {
    std::atomic<Arrival>& arrival = arrivals[cpu.value()];
    while (arrival.load(std::memory_order_acquire) != Arrival::Came) {
        if (arch::now() >= deadline) {
            Arrival expected = Arrival::Expected;
            return !arrival.compare_exchange_strong(expected, Arrival::GivenUp);
        }
        arch::cpu_relax();
    }
    return true;
}

bool report_arrival() {
    Arrival expected = Arrival::Expected;
    return arrivals[arch::current_cpu().value()].compare_exchange_strong(expected, Arrival::Came);
}

void park_this_hart() {
    static_cast<void>(arch::sbi::stop_this_hart());
    while (true) {
        arch::wait_for_interrupt();
    }
}

}  // namespace kernel::smp
