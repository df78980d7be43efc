// SPDX-License-Identifier: MIT
// The QoS classes: one table, and what it promises.
//
// Each hart divides its time between the classes that have work on it in the ratio of their root weights, in
// turns of one class request. A higher class may run ahead of its share by its warp (that is what makes it
// start at once), never further, so every class has a floor. With all four classes saturated on one hart:
//
//              share of the hart      longest wait of the class for its turn
//   Idle          0.47 %                 250 ms
//   Normal        7.6 %                   45 ms
//   Interactive  30.6 %                   24 ms
//   PerfBurst    61.2 %                   15 ms
//
// The wait is  CR[c] * SUM(CW) / CW[c]  +  SUM over k != c of (CR[k] + WARP[k])  + one kernel section; the
// tests named ClassFloors.* hold the table to it. A PerfBurst task without boost (boost.hpp) counts as
// Interactive; while nobody is boosted three classes share a hart, and every figure is better than stated.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/units.hpp"
#include "nexus_abi/sched.hpp"

namespace kernel::sched {

using nexus_abi::QosClass;
using nexus_abi::TaskState;

inline constexpr std::size_t kClasses = nexus_abi::kQosClassCount;

constexpr std::size_t index_of(QosClass qos_class) {
    return static_cast<std::size_t>(qos_class);
}
constexpr QosClass class_at(std::size_t index) {
    return static_cast<QosClass>(index);
}

struct ClassRow {
    std::uint32_t weight;    // CW: share of the hart against the other classes that have work
    Duration class_request;  // CR: how long the class runs before the classes are compared again
    Duration warp;           // WARP: how far the class may run ahead of its share
    Duration task_request;   // R0: how long a task of the class runs before its peers are compared
};

// Effects, all measured in a model of this algorithm: a larger weight moves share; a larger request means
// fewer switches and longer waits; a larger warp lets a class start at once more often, at the cost of a
// longer wait below it.
inline constexpr std::array<ClassRow, kClasses> kClassTable{{
    {1, Duration::milliseconds(1), Duration::milliseconds(0), Duration::milliseconds(6)},    // Idle
    {16, Duration::milliseconds(2), Duration::milliseconds(0), Duration::milliseconds(3)},   // Normal
    {64, Duration::milliseconds(3), Duration::milliseconds(4), Duration::milliseconds(2)},   // Interactive
    {128, Duration::milliseconds(3), Duration::milliseconds(8), Duration::milliseconds(2)},  // PerfBurst
}};

constexpr const ClassRow& row_of(QosClass qos_class) {
    return kClassTable[index_of(qos_class)];
}

// A task's request with a burst hint stays within these: the longest uninterrupted run of a same-class peer
// is R_MAX.
inline constexpr Duration kRequestMin = Duration::microseconds(100);
inline constexpr Duration kRequestMax = Duration::milliseconds(20);
// A task is not preempted by a peer of its class before it has run this long, unless the peer carries a
// latency hint.
inline constexpr Duration kMinGranularity = Duration::microseconds(500);
// Bounds what a task carries from one queue to another: credit in its own service, debt in real time.
inline constexpr Duration kLagMax = Duration::milliseconds(32);
// Bounds what a task is still owed, or owes, next to other harts when it was placed with less: in its own
// service.
inline constexpr Duration kAccountMax = Duration::milliseconds(512);
// How often a class that has work only now and then compares its frame to the other harts'.
inline constexpr Duration kFrameSpacing = Duration::milliseconds(4);
// A sleep longer than this clears what the task owed or was owed: no debt is that large (kLagMax and one
// fluid turn bound it), and virtual times older than this need not be comparable.
inline constexpr Duration kSleepHorizon = Duration::seconds(3600);

inline constexpr std::uint32_t kCapacityFull = 1024;  // of the reference hart; 1..1024

// The longest wait of a class with waiting work for its turn, kernel sections excluded.
constexpr Duration class_wait_bound(QosClass qos_class) {
    std::int64_t weights = 0;
    Duration others;
    for (std::size_t i = 0; i < kClasses; ++i) {
        weights += kClassTable[i].weight;
        if (i != index_of(qos_class)) {
            others += kClassTable[i].class_request + kClassTable[i].warp;
        }
    }
    return row_of(qos_class).class_request * weights / row_of(qos_class).weight + others;
}

static_assert(class_wait_bound(QosClass::Idle) <= Duration::milliseconds(250));
static_assert(class_wait_bound(QosClass::Normal) <= Duration::milliseconds(26 + 20));
static_assert(class_wait_bound(QosClass::Interactive) <= Duration::milliseconds(10 + 15));
static_assert(kClassTable[0].weight < kClassTable[1].weight &&
              kClassTable[1].weight < kClassTable[2].weight && kClassTable[2].weight < kClassTable[3].weight);
static_assert(kClassTable[0].warp.is_zero(), "the lowest class never runs ahead");

// Deliberate defects, chosen on the command line (neuron.break=, docs/testing.md): the negative controls of
// the selftest. They prove that the measurement would notice.
struct Faults {
    bool ignore_shares{false};    // every task is charged as if it had the default shares
    bool ignore_affinity{false};  // placement and stealing take every mask for "all CPUs"
    bool never_preempt{false};    // a task that wakes waits for the end of the running one's request
    bool strict_classes{false};   // the highest class with work always runs
    bool stay_put{false};         // a task never leaves the hart it ran on last, if it may stay there
    bool always_tick{false};      // a timer interrupt every 4 ms whatever runs
    bool hints_buy_share{false};  // a task with a latency hint is charged half
    bool no_budget{false};        // a task whose budget is used up runs on
    bool endless_boost{false};    // a boost never ends
    bool no_donation{false};      // a task others wait for is lent nothing
    bool no_balance{false};       // only idle harts take tasks; nothing is pushed, pulled or compressed
    bool lose_time{false};        // one of 64 nanoseconds is charged to nobody and is no idle time either
    // No defect, but like one no usual case: everything takes the general way (neuron.paths=general).
    bool general_only{false};

    constexpr bool operator==(const Faults&) const = default;
};

}  // namespace kernel::sched
