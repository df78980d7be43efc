// SPDX-License-Identifier: MIT
#include "sched/machine_shape.hpp"

#include <algorithm>
#include <array>

#include "lib/check.hpp"

namespace kernel::sched {

MachineShape MachineShape::of(std::span<const std::uint32_t> capacities) {
    CHECK(capacities.size() <= kMaxCpus);
    std::array<std::uint32_t, kMaxCpus> ascending{};
    std::size_t count = 0;
    for (const std::uint32_t capacity : capacities) {
        if (capacity != 0) {
            ascending[count++] = capacity;
        }
    }
    if (count == 0) {
        return {};
    }
    std::sort(ascending.begin(), ascending.begin() + count);
    const std::size_t third = std::max(std::size_t{1}, count / 3);
    const std::uint32_t slow = ascending[third - 1];
    const std::uint32_t fast = ascending[count - third];
    MachineShape shape;
    for (std::uint32_t i = 0; i < capacities.size(); ++i) {
        if (capacities[i] >= fast) {
            shape.fast.add(CpuId{i});
        }
        if (capacities[i] != 0 && capacities[i] <= slow) {
            shape.efficient.add(CpuId{i});
        }
    }
    return shape;
}

CpuMask MachineShape::preferred(nexus_abi::AffinityPolicy policy, CpuMask own) const {
    switch (policy) {
        case nexus_abi::AffinityPolicy::Pin:
            return CpuMask{};
        case nexus_abi::AffinityPolicy::Prefer:
            return own;
        case nexus_abi::AffinityPolicy::Perf:
            return fast;
        case nexus_abi::AffinityPolicy::Eff:
            return efficient;
    }
    return CpuMask{};
}

}  // namespace kernel::sched
