// SPDX-License-Identifier: MIT
// Where the formulas bite: debt from an infeasible lead, sleepers across a compression, clocks that wrap. The
// machine is the simulator's, so balancing takes part. In one queue alone: Timetable.DebtFromAnotherFrame*,
// *AcrossACompression, Wrap.*; group ceilings: GroupTest.*; yields: Timetable.Yield*, Adversaries.YieldStorm;
// hinted and unhinted wakes: Timetable.A*HintedPeer*, Invariants.I13_*; floors and waits: Invariants.I8_*.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "laboratory.hpp"
#include "record.hpp"

namespace sched_test {
namespace {

using enum QosClass;

// A task of 1000 shares that has a hart for itself is far ahead of what it would be due. Put beside a
// share-1 and a share-1000 hog it waits for its own fluid turn and LAGMAX of real time, not for seconds.
TEST(Corrections, AHeavyTaskAfterAnInfeasibleLead) {
    double longest = 0;
    for (const std::uint32_t light : {1U, 10U, 100U}) {
        Simulation simulation{{.harts = 2}};
        simulation.add_hog(light, CpuMask::from_bits(1));
        simulation.add_hog(1000, CpuMask::from_bits(1));
        const TaskIndex heavy = simulation.add_hog(1000, CpuMask::from_bits(2));
        simulation.run_for(20_s);
        const double before = in_ms(simulation.entity(heavy).statistics().wait_max);
        EXPECT_LT(before, 1.0) << "it had its hart for itself";
        simulation.set_affinity(heavy, CpuMask::from_bits(1));
        simulation.run_for(5_s);
        longest = std::max(longest, in_ms(simulation.entity(heavy).statistics().wait_max));
    }
    // Its turn: a request of 3 ms at nearly half of the hart; then LAGMAX.
    expect_at_most("C1", "wait of a heavy task placed after an infeasible lead", longest, 3 * 2.1 + 32, "ms");
}

// The same task as a sleeper: its lead was cut while it slept, and when it wakes it owes nothing for that.
TEST(Corrections, ASleeperAcrossACompression) {
    Simulation simulation{{.harts = 2}};
    // Hart 0 is behind for ever: 10 pinned beside one. Compression has to cut the lead of hart 1.
    for (int i = 0; i < 10; ++i) {
        simulation.add_hog(100, CpuMask::from_bits(1));
    }
    simulation.add_hog(100, CpuMask::from_bits(2));
    const TaskIndex sleeper = simulation.add_task(
        task_of(make(Normal, 100, CpuMask::from_bits(2)),
                sched_sim::on_off(Distribution::constant(20_ms), Distribution::constant(700_ms))));
    simulation.run_for(20_s);
    const auto& statistics = simulation.entity(sleeper).statistics();
    // One hog beside it: the peer's request, and what it owes for its own last request at half of the hart.
    expect_at_most("C2", "wait of a sleeper whose hart's frame was compressed", in_ms(statistics.wait_max),
                   3 + 2 * 3, "ms");
    simulation.mark();
    simulation.run_for(7200_ms);
    // No credit: at most all its work, never more often than every 720 ms. No debt: a cycle takes at most
    // 40 ms at half of the hart, 9 ms of waiting and 700 ms of sleep, so nine fit.
    EXPECT_LE(simulation.runtime_since_mark(sleeper), 200_ms);
    EXPECT_GE(simulation.runtime_since_mark(sleeper), 180_ms);
}

// Idle's class time advances 2^14 a nanosecond and is past half its range after 6.5 days; Normal, which slept
// all that time, is served by its weight from its first wake-up on, on both harts.
TEST(Corrections, NormalAfterSevenDaysOfIdle) {
    double worst = 0;
    double first_wait = 0;
    constexpr Duration kDay = 86'400_s;
    for (const int days : {7, 14, 120}) {
        Simulation simulation{{.harts = 2}};
        for (std::uint32_t i = 0; i < 2; ++i) {
            simulation.add_hog(1, CpuMask::of(CpuId{i}), Idle);
        }
        std::vector<TaskIndex> late;
        for (int i = 0; i < 3; ++i) {
            TaskOptions options = task_of(make(Normal));
            options.starts_at = Instant{} + kDay * days;
            late.push_back(simulation.add_task(std::move(options)));
        }
        simulation.run_until(Instant{} + kDay * days + 100_ms);
        for (const TaskIndex task : late) {
            first_wait = std::max(first_wait, in_ms(simulation.entity(task).statistics().wait_max));
        }
        simulation.run_for(5_s);
        simulation.mark();
        simulation.run_for(10_s);
        for (const TaskIndex task : late) {
            worst = std::max(worst, std::abs(part(simulation, task, 10_s) / (2.0 / 3 * 16 / 17) - 1));
        }
    }
    expect_at_most("C3", "share of Normal after 7, 14 and 120 days of Idle, off its due", 100 * worst, 1,
                   "%");
    expect_at_most("C3", "its longest wait in the first 100 ms", first_wait, 45, "ms");
}

}  // namespace
}  // namespace sched_test
