// SPDX-License-Identifier: MIT
// The machine behind arch/contract.hpp in host tests: each thread is a hart of the test's choosing, time
// stands still until a test moves it, RAM is an arena, and what would have reached other harts is recorded
// instead. Concurrency: thread-safe; the current hart is per thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"

namespace kernel::arch::host {

struct TlbFlush {
    CpuMask cpus;
    VirtAddr start;
    std::uint64_t bytes{0};
    std::uint16_t asid{0};
};

struct AddressSpaceSwitch {
    CpuId cpu;
    PhysAddr root;
    std::uint16_t asid{0};
};

// The calling thread is this hart from now on; CpuId{0} until then.
void set_current_cpu(CpuId cpu);

void set_now(Instant now);
void advance(Duration step);
// What the last set_timer() on this hart asked for; never() when none.
[[nodiscard]] Instant timer_of(CpuId cpu);

// What has been asked of the machine since the last reset(), in order.
[[nodiscard]] std::vector<CpuMask> sent_ipis();
[[nodiscard]] std::vector<CpuMask> instruction_fences();
[[nodiscard]] std::vector<TlbFlush> tlb_flushes();
[[nodiscard]] std::vector<AddressSpaceSwitch> address_space_switches();
// Called at every flush_tlb() before it returns, e.g. to check what is still allocated. Null: nothing.
void set_flush_observer(void (*observer)(const TlbFlush&));

// Forgets records, timers, time and observer; the arena stays.
void reset();

// RAM: `bytes` of zeroed memory that phys_to_virt() finds at physical address kRamBase. Aligned to 2 MiB.
// Replaces the arena of an earlier call.
inline constexpr PhysAddr kRamBase{0x8000'0000};
void set_ram(std::uint64_t bytes);

}  // namespace kernel::arch::host
