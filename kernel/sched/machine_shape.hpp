// SPDX-License-Identifier: MIT
// MachineShape: which harts are fast and which are efficient, by capacity; what the policies perf and eff
// prefer. Both are soft: they say where to look first.
#pragma once

#include <cstdint>
#include <span>

#include "lib/cpu_mask.hpp"
#include "nexus_abi/sched.hpp"

namespace kernel::sched {

struct MachineShape {
    CpuMask fast;       // at least as fast as the fastest third, counted from above; ties belong to it
    CpuMask efficient;  // no faster than the slowest third

    // capacities[i]: of CpuId i, 1..1024, or 0 for a CPU that does not exist. On a machine of equal harts
    // both masks hold all of them, so neither policy prefers any. Pre: at most kMaxCpus values.
    [[nodiscard]] static MachineShape of(std::span<const std::uint32_t> capacities);

    // What a task prefers: its own mask under Prefer, a third of the machine under Perf and Eff.
    [[nodiscard]] CpuMask preferred(nexus_abi::AffinityPolicy policy, CpuMask own) const;
};

}  // namespace kernel::sched
