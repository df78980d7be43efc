// SPDX-License-Identifier: MIT
#include "sched/placement.hpp"

#include <cstddef>

#include "lib/check.hpp"

namespace kernel::sched {

PlacementRequest placement_request(const Attributes& attributes, QosClass effective, CpuId last,
                                   CpuMask online, const Faults& faults, const MachineShape& shape) {
    if (faults.stay_put && (attributes.affinity_effective & online).contains(last)) {
        return {.allowed = CpuMask::of(last), .prefer = {}, .last = last, .effective = effective};
    }
    return PlacementRequest{
        .allowed = faults.ignore_affinity ? online : attributes.affinity_effective & online,
        .prefer = shape.preferred(attributes.policy, attributes.affinity_prefer),
        .last = last,
        .effective = effective,
    };
}

IdleChoice choose_idle(const PlacementRequest& request, CpuMask idle) {
    DCHECK(!request.allowed.empty());
    const CpuMask usable = request.allowed & idle;
    if (usable.empty()) {
        return IdleChoice{};
    }
    const CpuMask preferred = usable & request.prefer;
    const bool is_last_good =
        usable.contains(request.last) && (preferred.empty() || preferred.contains(request.last));
    if (is_last_good) {
        return IdleChoice{.found = true, .cpu = request.last};
    }
    return IdleChoice{.found = true, .cpu = (preferred.empty() ? usable : preferred).next_from(request.last)};
}

std::uint64_t placement_cost(const HartLoad& load, QosClass effective) {
    std::uint64_t competing = 0;
    for (std::size_t i = index_of(effective); i < kClasses; ++i) {
        competing += std::uint64_t{kClassTable[i].weight} * load.weight[i];
    }
    if (competing == 0) {
        // Idle after all, or only lower classes: the task starts at once. The lowest class loses the least.
        return load.running_class == HartLoad::kIdle ? 0 : std::uint64_t{load.running_class} + 1;
    }
    return kClasses + competing;  // more than any of those above
}

}  // namespace kernel::sched
