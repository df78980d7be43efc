// SPDX-License-Identifier: MIT
// Attributes changed in every state of a task, and what is measured about it.
#include <gtest/gtest.h>

#include <cstring>

#include "machine.hpp"

namespace sched_test {
namespace {

using kernel::sched::EnqueueReason;
using kernel::sched::PutReason;
using kernel::sched::Statistics;
using enum QosClass;

TEST(Reweigh, AWaitingTaskKeepsItsLag) {
    Machine machine;
    Task& a = machine.add_hog(Normal, 100);
    Task& b = machine.add_hog(Normal, 700);
    machine.run_for(3_ms);
    Task& waiting = a.entity.state() == TaskState::Queued ? a : b;
    const Duration before = machine.queue().lag(waiting.entity);
    ASSERT_FALSE(before.is_zero());
    for (const std::uint32_t shares : {1U, 1000U, 333U, 100U}) {
        machine.set_shares(waiting, shares);
        // Exact up to one unit of weight: 1000 shares are 1 ns.
        EXPECT_LE(std::abs((machine.queue().lag(waiting.entity) - before).ns()), 2) << shares;
    }
}

TEST(Reweigh, ARunningTaskIsChargedAtItsOldShares) {
    Machine machine;
    Task& task = machine.add_hog(Normal, 100);
    machine.add_hog(Normal, 100);
    ASSERT_EQ(task.entity.state(), TaskState::Running);
    Attributes attributes = task.entity.attributes;
    attributes.shares = 1000;
    const auto before = task.entity.position().vt;
    EXPECT_FALSE(machine.queue().set_attributes(task.entity, attributes, at(1_ms)));
    EXPECT_EQ(task.entity.runtime(at(1_ms)), 1_ms);
    // 1 ms at 100 shares against a mean of half of it; the lead of 0.5 ms of service is a tenth of the
    // distance now.
    const auto lead = kernel::sched::span_of(500_us, 16'000);
    const auto mean = before + kernel::sched::span_of(500_us, 1600);
    EXPECT_EQ(task.entity.position().vt, mean + lead);
    machine.run_for(10_ms);
}

// A share-flapper gains nothing (one request of lag either way).
TEST(Reweigh, FlappingSharesBuysNothing) {
    Machine machine;
    Task& flapper = machine.add_hog(Normal, 500);
    Task& victim = machine.add_hog(Normal, 500);
    for (int i = 0; i < 500; ++i) {
        machine.set_shares(flapper, i % 2 == 0 ? 1 : 1000);
        machine.run_for(1_ms);
    }
    // Half of the time 1 : 500, half of the time 1000 : 500, on average 1/3 of the hart.
    EXPECT_LE(flapper.entity.runtime(machine.now()), 500_ms / 3 + 10_ms);
    EXPECT_GE(victim.entity.runtime(machine.now()), 500_ms * 2 / 3 - 10_ms);
}

TEST(ChangeClass, DebtGoesAlongCreditDoesNot) {
    Machine machine;
    Task& a = machine.add_hog(Normal, 100);
    Task& b = machine.add_hog(Normal, 100);
    machine.add_hog(Idle, 100);
    machine.add_hog(Idle, 100);
    machine.run_for(3_ms);  // one of the two has had 3 ms more than the other
    RunQueue& queue = machine.queue();
    Task& ahead = queue.lag(a.entity) < Duration{} ? a : b;
    Task& behind = &ahead == &a ? b : a;
    const Duration debt = queue.lag(ahead.entity);
    ASSERT_LT(debt, 0_ms);
    ASSERT_GT(queue.lag(behind.entity), 0_ms);

    machine.set(ahead, make(Idle));
    EXPECT_LT(queue.lag(ahead.entity), 0_ms);
    machine.set(behind, make(Idle));
    EXPECT_LE(queue.lag(behind.entity), 0_ms);
    machine.run_for(100_ms);
}

TEST(ChangeClass, RaisingAWaitingTaskPreempts) {
    Machine machine;
    machine.add_hog(Normal, 100);
    Task& waiting = machine.add_hog(Normal, 100);
    machine.run_for(1_ms);
    ASSERT_EQ(waiting.entity.state(), TaskState::Queued);
    machine.set(waiting, make(Interactive));
    EXPECT_EQ(waiting.entity.state(), TaskState::Running);
}

TEST(ChangeClass, LoweringTheRunningTaskMakesWay) {
    Machine machine;
    Task& running = machine.add_hog(Interactive, 100);
    Task& normal = machine.add_hog(Normal, 100);
    machine.run_for(1_ms);
    ASSERT_EQ(running.entity.state(), TaskState::Running);
    machine.set(running, make(Idle));
    EXPECT_EQ(normal.entity.state(), TaskState::Running);
}

TEST(ChangeClass, FlappingClassesDoesNotLaunderDebt) {
    Machine machine;
    Task& flapper = machine.add_hog(Normal, 100);
    Task& victim = machine.add_hog(Normal, 100);
    machine.add_hog(Idle, 100);
    for (int i = 0; i < 400; ++i) {
        machine.set(flapper, make(i % 2 == 0 ? Idle : Normal));
        machine.run_for(1_ms);
    }
    EXPECT_LE(flapper.entity.runtime(machine.now()), victim.entity.runtime(machine.now()) + 6_ms);
}

TEST(SleepingTask, ChangesApplyAtTheNextWake) {
    Machine machine;
    Task& hog = machine.add_hog(Normal, 100);
    Task& sleeper = machine.add(make(Normal), {.work = 3_ms, .rest = 10_ms});
    while (sleeper.entity.state() != TaskState::Blocked) {
        machine.run_for(100_us);
    }
    const Duration slept_at = machine.now() - Instant{};
    Attributes attributes = make(Interactive, 700);
    attributes.latency = 5_ms;
    machine.set(sleeper, attributes);
    EXPECT_EQ(sleeper.entity.state(), TaskState::Blocked);
    EXPECT_EQ(sleeper.entity.attributes, attributes);
    machine.run_until(sleeper.wakes_at);
    EXPECT_EQ(sleeper.entity.state(), TaskState::Running);
    EXPECT_EQ(sleeper.entity.position().weight, 11'200U);
    EXPECT_EQ(sleeper.entity.effective(), Interactive);
    EXPECT_GT(hog.entity.runtime(machine.now()) + slept_at, 10_ms);
}

TEST(Mask, TheQueueSaysWhenATaskMustLeave) {
    Machine machine{2};
    Task& running = machine.add_hog(Normal, 100, CpuMask::first(1));
    Task& waiting = machine.add_hog(Normal, 100, CpuMask::first(1));
    machine.run_for(1_ms);
    ASSERT_EQ(waiting.entity.state(), TaskState::Queued);
    const Attributes elsewhere = make(Normal, 100, CpuMask::from_bits(0b10));
    machine.set(waiting, elsewhere);
    EXPECT_EQ(waiting.entity.cpu(), CpuId{1});
    EXPECT_EQ(waiting.entity.state(), TaskState::Running);
    machine.set(running, elsewhere);
    EXPECT_EQ(running.entity.cpu(), CpuId{1});
    const Duration there = running.entity.runtime_on(CpuId{0});
    machine.run_for(20_ms);
    EXPECT_EQ(running.entity.runtime_on(CpuId{0}), there);
    EXPECT_EQ(machine.queue(0).current(), nullptr);
}

TEST(Statistics, WakeLatencyBucketsArePowersOfTwo) {
    Statistics statistics;
    statistics.record_wake(999_ns, Duration{});
    statistics.record_wake(1_us, 1_us);
    statistics.record_wake(1999_ns, 1_us);
    statistics.record_wake(2_us, Duration{});
    statistics.record_wake(60_s, Duration{});
    EXPECT_EQ(statistics.wake_latency[0], 1U);   // below 1 us
    EXPECT_EQ(statistics.wake_latency[1], 2U);   // below 2 us
    EXPECT_EQ(statistics.wake_latency[2], 1U);   // below 4 us
    EXPECT_EQ(statistics.wake_latency[15], 1U);  // the rest
    EXPECT_EQ(statistics.wake_latency_max, 60_s);
    EXPECT_EQ(statistics.latency_target_met, 1U);
    EXPECT_EQ(statistics.latency_target_missed, 1U);
}

// A timer that a long kernel section held up: from its instant, not from when the kernel got round to it.
TEST(Statistics, WakeLatencyOfATimerBeginsAtItsInstant) {
    RunQueue queue;
    queue.start(CpuId{0}, Instant{});
    Entity entity;
    entity.attributes = make(Normal);
    entity.attributes.latency = 1_ms;
    const auto wake = [&](Instant woken, Instant due, Instant latest, Instant started) {
        queue.enqueue(entity, woken, EnqueueReason::Wake);
        queue.pick_next(woken);
        queue.note_started(started, due, latest);
        queue.put_current(started + 2_ms, PutReason::Block);
    };
    const auto& statistics = entity.statistics();
    // Two milliseconds late for the kernel, then on at once.
    wake(at(12_ms), at(10_ms), at(10_ms), at(12_ms + 3_us));
    EXPECT_EQ(statistics.latency_target_missed, 1U);
    EXPECT_EQ(statistics.wake_latency_max, 2_ms + 3_us);
    // Slack is no lateness: within it from the wake-up, behind it from its end.
    wake(at(20_ms + 800_us), at(20_ms), at(21_ms), at(20_ms + 803_us));
    EXPECT_EQ(statistics.wake_latency[2], 1U);
    EXPECT_EQ(statistics.latency_target_met, 1U);
    wake(at(34_ms), at(30_ms), at(31_ms), at(34_ms + 3_us));
    EXPECT_EQ(statistics.latency_target_missed, 2U);
    EXPECT_EQ(statistics.wake_latency_max, 3_ms + 3_us);
    // Begun a little early: from its instant.
    wake(at(40_ms - 3_us), at(40_ms), at(40_ms - 3_us), at(40_ms + 500_ns));
    EXPECT_EQ(statistics.wake_latency[0], 1U);
}

// From the wake-up, or from when it was due where it began early, to the task's own work; once.
TEST(Statistics, WakeLatencyEndsWhereTheTaskGoesOn) {
    RunQueue queue;
    queue.start(CpuId{0}, Instant{});
    Entity entity;
    entity.attributes = make(Normal);
    const auto wake = [&](Instant woken, Instant due, Instant started) {
        EXPECT_FALSE(entity.is_waking());
        queue.enqueue(entity, woken, EnqueueReason::Wake);
        queue.pick_next(woken);
        EXPECT_TRUE(entity.is_waking());
        queue.note_started(started, due);
        queue.note_started(started + 1_ms, due);
        queue.put_current(started + 2_ms, PutReason::Block);
    };
    const auto& counts = entity.statistics().wake_latency;
    wake(at(10_ms), Instant{}, at(10_ms + 3_us));
    EXPECT_EQ(counts[2], 1U);
    wake(at(20_ms), at(20_ms + 2500_ns), at(20_ms + 3_us));
    EXPECT_EQ(counts[0], 1U);
    // Picked, but put aside before it came to anything: it goes on waiting.
    queue.enqueue(entity, at(30_ms), EnqueueReason::Wake);
    queue.pick_next(at(30_ms));
    queue.put_current(at(30_ms), PutReason::Preempted);
    queue.pick_next(at(31_ms));
    queue.note_started(at(31_ms));
    EXPECT_EQ(entity.statistics().wake_latency_max, 1_ms);
    EXPECT_EQ(counts[0] + counts[2] + counts[10], 3U);
    queue.put_current(at(32_ms), PutReason::Exit);
}

// A child that waits in an inbox for its first turn neither sleeps nor has slept since the machine started.
TEST(Statistics, BeginWhereTheEntityIsCreated) {
    Entity entity;
    RunQueue::note_created(entity, at(500_ms));
    nexus_abi::sched_stat stat;
    entity.fill_stat(at(501_ms), stat);
    EXPECT_EQ(stat.state, static_cast<std::uint32_t>(TaskState::Migrating));
    EXPECT_EQ(stat.sleep_ns, 0U);
    EXPECT_EQ(stat.wait_ns, 1'000'000U);
    RunQueue queue;
    queue.start(CpuId{0}, at(0_ms));
    queue.enqueue(entity, at(502_ms), EnqueueReason::New);
    queue.pick_next(at(503_ms));
    entity.fill_stat(at(504_ms), stat);
    EXPECT_EQ(stat.sleep_ns, 0U);
    EXPECT_EQ(stat.wait_ns, 3'000'000U);
    EXPECT_EQ(stat.runtime_ns, 1'000'000U);
}

TEST(Statistics, IncludeTheStretchThatIsGoingOn) {
    RunQueue queue;
    queue.start(CpuId{3}, Instant{});
    std::array<Duration, 4> by_cpu{};
    Entity entity;
    entity.keep_runtime_by_cpu(by_cpu);
    entity.attributes = make(PerfBurst, 250);
    nexus_abi::sched_stat stat;
    const auto read = [&](Duration t) {
        std::memset(&stat, 0xa5, sizeof(stat));
        entity.fill_stat(at(t), stat);
    };
    read(1_ms);
    EXPECT_EQ(stat.sleep_ns, 1'000'000U);
    queue.note_woken(entity, at(2_ms));
    read(3_ms);
    EXPECT_EQ(stat.state, static_cast<std::uint32_t>(TaskState::Migrating));
    EXPECT_EQ(stat.wait_ns, 1'000'000U);
    queue.enqueue(entity, at(4_ms), EnqueueReason::Wake);
    queue.pick_next(at(5_ms));
    queue.note_started(at(5500_us));
    read(7_ms);
    EXPECT_EQ(stat.size, sizeof(stat));
    EXPECT_EQ(stat.state, static_cast<std::uint32_t>(TaskState::Running));
    EXPECT_EQ(stat.sleep_ns, 2'000'000U);
    EXPECT_EQ(stat.wait_ns, 3'000'000U);
    EXPECT_EQ(stat.wait_max_ns, 3'000'000U);
    EXPECT_EQ(stat.wake_latency_max_ns, 3'500'000U);
    EXPECT_EQ(stat.runtime_ns, 2'000'000U);
    EXPECT_EQ(stat.runtime_by_cpu_ns[3], 2'000'000U);
    EXPECT_EQ(stat.runtime_by_cpu_ns[0], 0U);
    EXPECT_EQ(stat.last_cpu, 3U);
    EXPECT_EQ(stat.effective_class, 2U);
    EXPECT_EQ(stat.effective_shares, 250U);
    EXPECT_EQ(stat.flags, 0U);
    EXPECT_EQ(stat.reserved[0] | stat.reserved[1] | stat.reserved[2] | stat.reserved[3], 0U);
    queue.put_current(at(8_ms), PutReason::Block);
    read(9_ms);
    EXPECT_EQ(stat.runtime_ns, 3'000'000U);
    EXPECT_EQ(stat.runtime_by_cpu_ns[3], 3'000'000U);
    EXPECT_EQ(stat.runtime_by_cpu_ns[0], 0U);
    EXPECT_EQ(stat.nr_switch_voluntary, 1U);
    EXPECT_EQ(stat.sleep_ns, 3'000'000U);
}

// Its bucket holds 20 ms when it wakes after 400 ms: so long it is boosted of the 30 ms it works.
TEST(Statistics, BoostedTimeIsCountedWhileItRunsAndKept) {
    Machine machine;
    Task& burst = machine.add(make(PerfBurst), {.work = 30_ms, .rest = 400_ms, .first_wake = 400_ms});
    const auto boosted_at = [&](Duration time) {
        machine.run_until(at(time));
        nexus_abi::sched_stat stat;
        burst.entity.fill_stat(machine.now(), stat);
        return stat.perfburst_ns;
    };
    EXPECT_EQ(boosted_at(400_ms), 0U);
    EXPECT_EQ(boosted_at(405_ms), 5'000'000U);
    EXPECT_EQ(boosted_at(425_ms), 20'000'000U);
    EXPECT_EQ(boosted_at(829_ms), 20'000'000U);
    EXPECT_EQ(boosted_at(835_ms), 25'000'000U);
    nexus_abi::sched_stat stat;
    burst.entity.fill_stat(machine.now() + 2_ms, stat);
    EXPECT_EQ(stat.perfburst_ns, 27'000'000U) << "with what was not charged yet";
}

TEST(Statistics, AHartsSwitchesAreThoseOfItsTasks) {
    Machine machine;
    Task& first = machine.add_hog(Normal, 100);
    Task& second = machine.add_hog(Normal, 100);
    Task& sleeper = machine.add(make(Normal), {.work = 1_ms, .rest = 2_ms});
    machine.run_for(100_ms);
    const auto use = machine.queue().use(machine.now());
    std::uint64_t voluntary = 0;
    std::uint64_t involuntary = 0;
    for (const Task* task : {&first, &second, &sleeper}) {
        voluntary += task->entity.statistics().switches_voluntary;
        involuntary += task->entity.statistics().switches_involuntary;
    }
    EXPECT_GT(voluntary, 10U);
    EXPECT_GT(involuntary, 10U);
    EXPECT_EQ(use.voluntary, voluntary);
    EXPECT_EQ(use.involuntary, involuntary);
    EXPECT_EQ(use.runtime, 100_ms);
    EXPECT_EQ(machine.queue().use(machine.now() + 1_ms).runtime, 101_ms) << "with what was not charged yet";
    Machine idle;
    EXPECT_EQ(idle.queue().use(at(1_ms)).runtime, Duration{});
}

TEST(Rates, APaceIsAWeightTimesItsMasksFactorWithinBounds) {
    kernel::sched::RateTable table;
    const CpuMask narrow = CpuMask::from_bits(1);
    const CpuMask wide = CpuMask::from_bits(3);
    table.count = 1;
    table.whole = 5000;
    table.rows[0] = {.mask = narrow, .factor = kernel::sched::RateTable::kFactorOne / 2};
    EXPECT_EQ(table.pace_of(1000, narrow), 500U);
    EXPECT_EQ(table.pace_of(1000, wide), 1000U) << "not in the table";
    EXPECT_EQ(table.pace_of(5000, wide), 5000U);
    EXPECT_EQ(table.pace_of(5001, wide), 5000U) << "nobody uses more than a hart";
    EXPECT_EQ(table.pace_of(1, narrow), 1U) << "nobody stands still";
}

// The frame of an empty queue follows another hart's, days ahead if that is where it is. A task that was
// under way meanwhile is owed much then, and a change to a weight a thousand times lighter does not turn that
// round.
TEST(Reweigh, WhatATaskIsOwedNeverWraps) {
    RunQueue queue;
    queue.start(CpuId{0}, Instant{});
    using enum kernel::sched::EnqueueReason;
    Entity task;
    Entity hog;
    task.attributes = make(QosClass::Normal, 1000);
    hog.attributes = make(QosClass::Normal, 100);
    queue.enqueue(task, Instant{}, New);
    queue.remove(task, Instant{});
    queue.raise_frame(QosClass::Normal,
                      kernel::sched::VirtualTime{} + (kernel::sched::VirtualSpan{1} << 57U));
    EXPECT_FALSE(queue.set_attributes(task, make(QosClass::Normal, 1), Instant{}));
    queue.enqueue(hog, Instant{}, New);
    queue.enqueue(task, Instant{}, Migrate);
    EXPECT_GT(queue.lag(task), Duration{});
    queue.remove(task, Instant{});
    queue.remove(hog, Instant{});
}

// Rates come to an end, and members keep their paces until their requests are used up: the short ways leave
// such members to the general ones.
TEST(Rates, TheShortWaysKnowPacesThatAreNotWeights) {
    using enum kernel::sched::EnqueueReason;
    RunQueue queue;
    queue.start(CpuId{0}, Instant{});
    std::array<Entity, 3> entities;
    kernel::sched::RateTable rates{.generation = 1, .count = 1};
    rates.rows[0] = {.mask = CpuMask::all(), .factor = kernel::sched::RateTable::kFactorOne * 3};
    const std::size_t normal = kernel::sched::index_of(QosClass::Normal);
    queue.set_rates(normal, rates, Instant{});
    for (Entity& entity : entities) {
        entity.attributes = make(QosClass::Normal);
        queue.enqueue(entity, Instant{}, New);
    }
    ASSERT_NE(queue.pick_next(Instant{}).entity, nullptr);
    queue.set_rates(normal, kernel::sched::RateTable{}, at(100_us));
    Instant now = at(200_us);
    RunQueue::Step step;
    for (const auto reason : {kernel::sched::PutReason::Yield, kernel::sched::PutReason::Block,
                              kernel::sched::PutReason::Block}) {
        if (!queue.switch_plainly(now, reason, step)) {
            queue.put_current(now, reason);
            ASSERT_NE(queue.pick_next(now).entity, nullptr);
        }
        const auto violation = kernel::sched::Auditor::check(queue);
        EXPECT_FALSE(violation.found()) << violation.rule;
        now = now + 100_us;
    }
    for (Entity& entity : entities) {
        Instant event;
        if (entity.state() == TaskState::Blocked && !queue.wake_plainly(entity, now, event)) {
            queue.enqueue(entity, now, Wake);
        }
    }
    const auto violation = kernel::sched::Auditor::check(queue);
    EXPECT_FALSE(violation.found()) << violation.rule;
    while (queue.current() != nullptr || queue.pick_next(now).entity != nullptr) {
        queue.put_current(now, kernel::sched::PutReason::Exit);
    }
}

// When rates have ended and every pace is a weight again, nothing is left that would need the general ways.
TEST(Rates, TheShortWaysAreTakenAgainAfterRates) {
    RunQueue queue;
    queue.start(CpuId{0}, Instant{});
    const std::size_t normal = kernel::sched::index_of(QosClass::Normal);
    kernel::sched::RateTable rates{.generation = 1, .count = 1};
    rates.rows[0] = {.mask = CpuMask::all(), .factor = kernel::sched::RateTable::kFactorOne * 3};
    queue.set_rates(normal, rates, Instant{});
    queue.set_rates(normal, kernel::sched::RateTable{}, at(1_us));
    std::array<Entity, 2> entities;
    for (Entity& entity : entities) {
        entity.attributes = make(QosClass::Normal);
        queue.enqueue(entity, at(1_us), kernel::sched::EnqueueReason::New);
    }
    ASSERT_EQ(queue.pick_next(at(1_us)).entity, &entities[0]);
    RunQueue::Step step;
    EXPECT_TRUE(queue.switch_plainly(at(100_us), kernel::sched::PutReason::Yield, step));
    EXPECT_EQ(queue.current(), &entities[1]);
    while (queue.current() != nullptr || queue.pick_next(at(100_us)).entity != nullptr) {
        queue.put_current(at(100_us), kernel::sched::PutReason::Exit);
    }
}

}  // namespace
}  // namespace sched_test
