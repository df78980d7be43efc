// SPDX-License-Identifier: MIT
// Where a woken or new task goes. Pure: reads published loads, answers with a CpuId. In order: the last hart
// if idle; an idle preferred hart; any idle hart; the hart that runs the lowest class below the task's (it
// will be preempted); the least load that competes with the task. Ties go to the hart nearest after the last
// one. Probes at most 16 harts.
#pragma once

#include <concepts>
#include <cstdint>

#include "lib/cpu_mask.hpp"
#include "sched/attributes.hpp"
#include "sched/load.hpp"
#include "sched/machine_shape.hpp"

namespace kernel::sched {

inline constexpr std::uint32_t kPlacementProbes = 16;

struct PlacementRequest {
    CpuMask allowed;       // effective mask & online harts; not empty
    CpuMask prefer;        // tried first; may be empty
    CpuId last;            // where it ran last, or its parent's hart
    QosClass effective{};  // its effective class
};

// The request of a task with these attributes that is served in class `effective`. With
// Faults::ignore_affinity every online hart is allowed.
[[nodiscard]] PlacementRequest placement_request(const Attributes& attributes, QosClass effective, CpuId last,
                                                 CpuMask online, const Faults& faults = {},
                                                 const MachineShape& shape = {});

struct Placement {
    CpuId cpu;
    // cpu was in the idle mask: claim it (AtomicCpuMask::try_claim), and when another waker was faster, ask
    // again with that bit removed. Ends after at most as many rounds as there are idle harts.
    bool is_idle{false};
};

// The idle hart to use, if there is one. Pre: !request.allowed.empty().
struct IdleChoice {
    bool found{false};
    CpuId cpu;
};
[[nodiscard]] IdleChoice choose_idle(const PlacementRequest& request, CpuMask idle);

// The least attractive thing about a hart for a task of this class; lower is better. A hart running a class
// below the task's is better than any other.
[[nodiscard]] std::uint64_t placement_cost(const HartLoad& load, QosClass effective);

// load_of(CpuId) -> HartLoad is asked only for harts in request.allowed, at most kPlacementProbes times.
template <class LoadOf>
    requires std::same_as<std::invoke_result_t<LoadOf&, CpuId>, HartLoad>
[[nodiscard]] Placement select_cpu(const PlacementRequest& request, CpuMask idle, LoadOf&& load_of) {
    const IdleChoice idle_choice = choose_idle(request, idle);
    if (idle_choice.found) {
        return Placement{.cpu = idle_choice.cpu, .is_idle = true};
    }
    const CpuMask preferred = request.allowed & request.prefer;
    CpuMask candidates = preferred.empty() ? request.allowed : preferred;
    CpuId best = candidates.next_from(request.last);
    std::uint64_t best_cost = ~std::uint64_t{0};
    CpuId at = request.last;
    for (std::uint32_t probe = 0; probe < kPlacementProbes && !candidates.empty(); ++probe) {
        at = candidates.next_from(at);
        candidates.remove(at);
        const std::uint64_t cost = placement_cost(load_of(at), request.effective);
        if (cost < best_cost) {
            best = at;
            best_cost = cost;
        }
    }
    return Placement{.cpu = best, .is_idle = false};
}

}  // namespace kernel::sched
