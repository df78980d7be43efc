// SPDX-License-Identifier: MIT
// What a task asked for, what it may ask for, and what children and threads take over. Plain values; the
// rules that make one from another are in params.hpp.
#pragma once

#include <cstdint>

#include "lib/cpu_mask.hpp"
#include "lib/units.hpp"
#include "nexus_abi/sched.hpp"
#include "sched/qos.hpp"

namespace kernel::sched {

// At most `runtime` of CPU time in any window of `period`. 0, 0: no cap. Else 100 us <= runtime <= period <=
// 1 s.
struct BudgetParams {
    Duration runtime;
    Duration period;

    [[nodiscard]] constexpr bool is_capped() const { return !period.is_zero(); }
    constexpr bool operator==(const BudgetParams&) const = default;
};

struct Attributes {
    QosClass qos_class{QosClass::Normal};             // as asked; what is served: Entity::effective()
    std::uint32_t shares{nexus_abi::kSharesDefault};  // 1..1000
    Duration latency;                                 // 0 = none, else 100 us .. 1 s
    Duration burst;                                   // 0 = the class's request, else 100 us .. 50 ms
    CpuMask affinity{CpuMask::all()};                 // as asked, kept for harts that come online later
    CpuMask affinity_effective{CpuMask::all()};       // asked & limit & online; never empty
    CpuMask affinity_prefer;                          // tried first under policy Prefer; may be empty
    nexus_abi::AffinityPolicy policy{nexus_abi::AffinityPolicy::Pin};
    std::uint32_t flags{0};  // kAttrResetOnSpawn | kAttrInheritBudget
    BudgetParams budget;
    bool budget_imposed{false};   // by the right's holder: without the right it may only be tightened
    bool budget_shared{false};    // the budget is an ancestor's; only the right's holder replaces it
    bool affinity_broken{false};  // no hart of the mask is online: the effective mask is a substitute

    constexpr bool operator==(const Attributes&) const = default;
};

// Ceilings of one task: set by its parent or the right's holder, inherited.
struct Limits {
    QosClass class_ceiling{QosClass::Normal};
    std::uint32_t shares_ceiling{nexus_abi::kSharesMax};
    CpuMask affinity_limit{CpuMask::all()};
    // Shares that all runnable tasks of the group count for together, 1..1000; 0 = no ceiling.
    std::uint32_t group_ceiling{0};

    constexpr bool operator==(const Limits&) const = default;
};

}  // namespace kernel::sched
