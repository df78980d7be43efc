// SPDX-License-Identifier: MIT
// Donation: what tasks that wait for another one lend it while they wait, so that it does not hold them up: a
// class, a latency hint, a budget. It never widens a mask and never changes a weight. Who waits for whom is
// the caller's business; it passes the combination of all lenders.
#pragma once

#include "lib/units.hpp"
#include "sched/qos.hpp"

namespace kernel::sched {

class Budget;

struct Donation {
    QosClass qos_class{QosClass::Idle};  // the highest effective class among the lenders
    Duration latency{};                  // the shortest latency hint among them; 0 = none
    // Charged for what the task runs, instead of its own; null: its own. Outlives the donation.
    Budget* budget{nullptr};

    constexpr bool operator==(const Donation&) const = default;
};

}  // namespace kernel::sched
