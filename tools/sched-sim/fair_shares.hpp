// SPDX-License-Identifier: MIT
// What each always-running task of one class deserves: weighted max-min fairness over harts, masks and
// capacities. The plain ratio of weights is wrong as soon as a task cannot use its part: weights 10:1:1 on
// two harts give the heavy one a whole hart, not 10/12 of two. Pure; errors below 1e-9 of a hart.
//
// Method. Equal capacities: the level (rate per weight) rises for all tasks together; a maximum flow says
// whether harts can serve it, a minimum cut names the set of harts that is full first (discrete Newton
// steps), and whoever is confined to that set, or has a hart for itself, keeps its rate. Unequal capacities:
// the same rounds with a linear program in place of the flow, because a task may spend time on a slow hart
// and a fast one, but never more than all its time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sched_sim {

struct Demand {
    double weight{1.0};     // > 0; only ratios count
    std::uint64_t mask{0};  // harts it may use; bits beyond the machine are ignored
    double limit{64.0};     // the most it can use, of a hart of capacity 1.0; its budget
};

// Work per second of each task in units of a hart of capacity 1.0, in the order of `demands`. A task runs on
// at most one hart at a time. `capacities`: one per hart, 0 < c; 1..64 harts. A task without a usable hart
// gets 0. Cost with equal capacities: a few hundred flows over the distinct masks; with unequal ones
// (distinct masks and weights) * harts should stay below about 2000.
[[nodiscard]] std::vector<double> fair_shares(std::span<const double> capacities,
                                              std::span<const Demand> demands);

// The same for `harts` equal harts.
[[nodiscard]] std::vector<double> fair_shares(std::uint32_t harts, std::span<const Demand> demands);

}  // namespace sched_sim
