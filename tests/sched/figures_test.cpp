// SPDX-License-Identifier: MIT
// What a task's figures say in each state: every one of them worked out again from what was done.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstring>
#include <random>

#include "machine.hpp"
#include "sched/group.hpp"

namespace sched_test {
namespace {

using kernel::sched::Budget;
using kernel::sched::EnqueueReason;
using kernel::sched::Group;
using kernel::sched::HartLoad;
using kernel::sched::kWeightPerShare;
using kernel::sched::PutReason;
using kernel::sched::Statistics;
using enum QosClass;
namespace abi = nexus_abi;

TEST(Figures, WakeUpsAreCountedByTheirLength) {
    Statistics statistics;
    std::array<std::uint64_t, abi::kWakeHistogramBuckets> expected{};
    Duration longest;
    std::uint64_t met = 0;
    std::uint64_t missed = 0;
    std::mt19937_64 random{1};
    for (int i = 0; i < 20'000; ++i) {
        // Powers of two of microseconds, and their neighbours.
        const auto power = std::int64_t{1000} << (random() % 40);
        const auto ns = random() % 8 == 0 ? static_cast<std::int64_t>(random() % 3000)
                                          : power - 1 + static_cast<std::int64_t>(random() % 3);
        const Duration latency = Duration::nanoseconds(ns);
        const Duration target = std::array{0_us, 1_us, 1024_us, 4096_us}[random() % 4];
        statistics.record_wake(latency, target);
        // Bucket i: less than 2^i us, and the last one takes the rest.
        std::size_t bucket = 0;
        while (bucket + 1 < expected.size() && ns >= std::int64_t{1000} << bucket) {
            ++bucket;
        }
        ++expected[bucket];
        longest = std::max(longest, latency);
        met += target != 0_us && latency <= target ? 1 : 0;
        missed += target != 0_us && latency > target ? 1 : 0;
        ASSERT_EQ(statistics.wake_latency, expected) << ns;
    }
    EXPECT_EQ(statistics.wake_latency_max, longest);
    EXPECT_EQ(statistics.latency_target_met, met);
    EXPECT_EQ(statistics.latency_target_missed, missed);
    EXPECT_GT(met, 100U);
    EXPECT_GT(missed, 100U);
}

class FiguresOf : public testing::Test {
  protected:
    FiguresOf() {
        queue.start(CpuId{0}, Instant{});
        entity.keep_runtime_by_cpu(by_cpu);
        entity.attributes = make(Normal, 150, CpuMask::from_bits(0b101));
        entity.attributes.affinity_effective = CpuMask::from_bits(0b001);
        expected.size = sizeof expected;
        expected.effective_class = 1;
        expected.effective_shares = 150;
        expected.mask_requested = 0b101;
        expected.mask_effective = 0b001;
    }
    void expect_at(Instant now) {
        abi::sched_stat found;
        std::memset(&found, 0xa5, sizeof found);
        entity.fill_stat(now, found);
        EXPECT_EQ(found.state, expected.state);
        EXPECT_EQ(found.runtime_ns, expected.runtime_ns);
        EXPECT_EQ(found.wait_ns, expected.wait_ns);
        EXPECT_EQ(found.wait_max_ns, expected.wait_max_ns);
        EXPECT_EQ(found.sleep_ns, expected.sleep_ns);
        EXPECT_EQ(found.throttled_ns, expected.throttled_ns);
        EXPECT_EQ(found.perfburst_ns, expected.perfburst_ns);
        EXPECT_EQ(found.flags, expected.flags);
        EXPECT_EQ(std::memcmp(&found, &expected, sizeof found), 0);
    }
    void expect_state(TaskState state) { expected.state = static_cast<std::uint32_t>(state); }

    RunQueue queue;
    std::array<Duration, 2> by_cpu{};
    Entity entity;
    abi::sched_stat expected{};
};

TEST_F(FiguresOf, OneThroughAllItsStates) {
    static_cast<void>(queue.enqueue(entity, at(1_ms), EnqueueReason::New));
    expect_state(TaskState::Queued);
    expected.wait_ns = expected.wait_max_ns = 2'000'000;
    expect_at(at(3_ms));
    static_cast<void>(queue.pick_next(at(4_ms)));
    expect_state(TaskState::Running);
    expected.wait_ns = expected.wait_max_ns = 3'000'000;
    expected.runtime_ns = expected.runtime_by_cpu_ns[0] = 500'000;
    expect_at(at(4500_us));
    EXPECT_EQ(entity.runtime(at(4500_us)), 500_us);
    EXPECT_EQ(entity.runtime(at(3_ms)), 0_us) << "a clock read before";
    queue.put_current(at(5_ms), PutReason::Block);
    expect_state(TaskState::Blocked);
    expected.runtime_ns = expected.runtime_by_cpu_ns[0] = 1'000'000;
    expected.nr_switch_voluntary = 1;
    expected.sleep_ns = 7'000'000;
    expect_at(at(12_ms));
    expected.sleep_ns = 0;
    expect_at(at(5_ms));
    queue.note_woken(entity, at(15_ms));
    expect_state(TaskState::Migrating);
    expected.sleep_ns = 10'000'000;
    expected.wait_ns = 5'000'000;
    expect_at(at(17_ms));
    expected.wait_ns = expected.wait_max_ns = 9'000'000 - 3'000'000;
    expected.wait_ns += 3'000'000;
    expect_at(at(21_ms));
    static_cast<void>(queue.enqueue(entity, at(21_ms), EnqueueReason::Wake));
    static_cast<void>(queue.pick_next(at(21_ms)));
    queue.note_started(at(21_ms));
    expect_state(TaskState::Running);
    expected.wake_latency_hist[13] = 1;  // 4096 to 8191 us
    expected.wake_latency_max_ns = 6'000'000;
    expect_at(at(21_ms));
    entity.attributes.affinity_broken = true;
    expected.flags = abi::kStatAffinityBroken;
    expect_at(at(21_ms));
    queue.set_donation(entity, {.qos_class = Interactive}, at(21_ms));
    expected.flags = abi::kStatAffinityBroken | abi::kStatDonated;
    expected.effective_class = 2;
    expect_at(at(21_ms));
}

TEST_F(FiguresOf, OneThatIsBoostedOrHasNoBudget) {
    entity.attributes.qos_class = PerfBurst;
    static_cast<void>(queue.enqueue(entity, at(0_ms), EnqueueReason::New));
    static_cast<void>(queue.pick_next(at(0_ms)));
    queue.charge_current(at(1_s));  // from here on boosted
    expect_state(TaskState::Running);
    expected.effective_class = 3;
    expected.flags = abi::kStatBoosted;
    expected.runtime_ns = expected.runtime_by_cpu_ns[0] = 1'005'000'000;
    expected.perfburst_ns = 5'000'000;
    expect_at(at(1005_ms));
    queue.put_current(at(1010_ms), PutReason::Preempted);
    expect_state(TaskState::Queued);
    expected.runtime_ns = expected.runtime_by_cpu_ns[0] = 1'010'000'000;
    expected.perfburst_ns = 10'000'000;  // and no more while it waits
    expected.wait_ns = expected.wait_max_ns = 2'000'000;
    expected.nr_switch_involuntary = 1;
    expected.nr_preempted = 1;
    expect_at(at(1012_ms));
}

TEST_F(FiguresOf, OneWithoutBudget) {
    Budget budget;
    budget.configure({.runtime = 1_ms, .period = 100_ms}, Instant{});
    queue.set_budget(entity, &budget, at(0_ms));
    static_cast<void>(queue.enqueue(entity, at(0_ms), EnqueueReason::New));
    static_cast<void>(queue.pick_next(at(0_ms)));
    static_cast<void>(queue.pick_next(at(1_ms)));
    expect_state(TaskState::Throttled);
    expected.flags = abi::kStatThrottled;
    expected.runtime_ns = expected.runtime_by_cpu_ns[0] = 1'000'000;
    expected.throttled_ns = 6'000'000;
    expected.nr_throttled = 1;
    expected.nr_switch_involuntary = 1;
    expect_at(at(7_ms));
    EXPECT_EQ(entity.standing().budget, budget.params());
    queue.set_budget(entity, nullptr, at(9_ms));
    EXPECT_FALSE(entity.standing().budget.is_capped());
    expect_state(TaskState::Queued);
    expected.flags = 0;
    expected.throttled_ns = 8'000'000;
    expected.wait_ns = expected.wait_max_ns = 1'000'000;
    expect_at(at(10_ms));
}

TEST_F(FiguresOf, WhatItsGroupLeaves) {
    Group group;
    EXPECT_EQ(entity.standing().group_ceiling, 0U);
    group.set_ceiling(40);
    queue.set_group(entity, &group, at(0_ms));
    EXPECT_EQ(entity.standing().group_ceiling, 40U);
    EXPECT_EQ(entity.standing().shares, 150U) << "as asked, as long as it does not count";
    static_cast<void>(queue.enqueue(entity, at(0_ms), EnqueueReason::New));
    EXPECT_EQ(entity.standing().shares, 40U);
    EXPECT_EQ(entity.position().weight, 40 * kWeightPerShare);
    queue.remove(entity, at(0_ms));
    queue.set_group(entity, nullptr, at(0_ms));
}

TEST_F(FiguresOf, WhatItRanOnEachHart) {
    RunQueue other;
    other.start(CpuId{1}, Instant{});
    entity.attributes.affinity_effective = CpuMask::from_bits(0b11);
    static_cast<void>(queue.enqueue(entity, at(0_ms), EnqueueReason::New));
    static_cast<void>(queue.pick_next(at(0_ms)));
    queue.put_current(at(3_ms), PutReason::Migrate);
    static_cast<void>(other.enqueue(entity, at(3_ms), EnqueueReason::Migrate));
    static_cast<void>(other.pick_next(at(3_ms)));
    other.charge_current(at(5_ms));
    EXPECT_EQ(entity.cpus_kept(), 2U);
    EXPECT_EQ(entity.runtime_on(CpuId{0}), 3_ms);
    EXPECT_EQ(entity.runtime_on(CpuId{1}), 2_ms);
    EXPECT_EQ(entity.statistics().migrations, 1U);
    abi::sched_stat found{};
    entity.fill_stat(at(6_ms), found);
    EXPECT_EQ(found.runtime_by_cpu_ns[0], 3'000'000U);
    EXPECT_EQ(found.runtime_by_cpu_ns[1], 3'000'000U);
    EXPECT_EQ(found.last_cpu, 1U);
    other.put_current(at(6_ms), PutReason::Exit);
}

// U of a class that runs moves on after its load was published, and no other does.
TEST(LoadOf, AClassThatRunsMovesOn) {
    using kernel::sched::VirtualTime;
    HartLoad load;
    load.at = at(1_s);
    load.running_class = 1;
    load.weight = {0, 1600, 1600, 0};
    load.pace = {1600, 3200, 1600, 1600};
    for (std::size_t i = 0; i < 4; ++i) {
        load.global[i] = VirtualTime{} + static_cast<std::int64_t>(i) * 1000;
    }
    const auto moved = [&](std::size_t index, Instant now) {
        return load.global_at(index, now) - load.global[index];
    };
    EXPECT_EQ(moved(1, at(1_s) - 1_ns), 0);
    EXPECT_EQ(moved(1, at(1_s)), 0);
    EXPECT_EQ(moved(1, at(1_s) + 32_us), kernel::sched::span_of(32_us, 3200));
    EXPECT_EQ(moved(2, at(2_s)), 0) << "it waits";
    EXPECT_EQ(moved(0, at(2_s)), 0);
    load.capacity = 512;
    EXPECT_EQ(moved(1, at(1_s) + 32_us), kernel::sched::span_of(16_us, 3200));
    load.running_class = 0;
    EXPECT_EQ(moved(0, at(2_s)), 0) << "of which there is nothing";
    load.running_class = 1;
    const Duration longest = Duration::nanoseconds(std::int64_t{1} << 39U);
    EXPECT_EQ(moved(1, at(1_s) + longest + 1_s), moved(1, at(1_s) + longest)) << "as far as is known";
    EXPECT_NE(moved(1, at(1_s) + longest - 1_s), moved(1, at(1_s) + longest));
}

}  // namespace
}  // namespace sched_test
