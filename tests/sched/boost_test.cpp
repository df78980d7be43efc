// SPDX-License-Identifier: MIT
// PerfBurst: what a boost gives, when it ends, and that it cannot be farmed.
#include "sched/boost.hpp"

#include <gtest/gtest.h>

#include "machine.hpp"

namespace sched_test {
namespace {

using kernel::sched::BoostBucket;
using kernel::sched::class_wait_bound;
using enum QosClass;

double part(const Machine& machine, const Task& task, Duration window) {
    return ratio(machine.since_mark(task), window);
}

Attributes burster(Duration burst = Duration{}) {
    Attributes attributes = make(PerfBurst);
    attributes.burst = burst;
    return attributes;
}

TEST(BoostBucketTest, FillsAtATenthAndHoldsItsCapacity) {
    BoostBucket bucket;
    bucket.start(at(1_s));
    EXPECT_EQ(bucket.left(), 0_ms);
    bucket.fill(at(1_s + 55_ms), 20_ms);
    EXPECT_EQ(bucket.left(), 5500_us);
    EXPECT_FALSE(bucket.may_start(20_ms));
    EXPECT_TRUE(bucket.may_start(11_ms));
    bucket.skip(at(2_s));  // boosted, but waiting: nothing comes in
    EXPECT_EQ(bucket.left(), 5500_us);
    bucket.fill(at(60_s), 20_ms);
    EXPECT_EQ(bucket.left(), 20_ms);
    bucket.drain(19_ms, at(60_s + 19_ms));
    EXPECT_EQ(bucket.left(), 1_ms);
    bucket.fill(at(60_s + 19_ms), 1_ms);
    EXPECT_EQ(bucket.left(), 1_ms);
    bucket.fill(at(3600_s * 24 * 365), 50_ms);
    EXPECT_EQ(bucket.left(), 50_ms);
    bucket.fill(at(3600_s * 24 * 365), 2_ms);  // a smaller hint takes the rest away
    EXPECT_EQ(bucket.left(), 2_ms);
}

TEST(BoostBucketTest, CapacityIsTheHintWithinItsBounds) {
    EXPECT_EQ(BoostBucket::capacity(0_ms), 20_ms);
    EXPECT_EQ(BoostBucket::capacity(100_us), 1_ms);
    EXPECT_EQ(BoostBucket::capacity(7_ms), 7_ms);
    EXPECT_EQ(BoostBucket::capacity(50_ms), 50_ms);
}

TEST(PerfBurst, ANewTaskHasNoBoost) {
    Machine machine;
    Task& burst = machine.add_hog(PerfBurst, 100);
    EXPECT_EQ(burst.entity.effective(), Interactive);
    machine.run_for(90_ms);
    EXPECT_EQ(burst.entity.effective(), Interactive);
    EXPECT_EQ(burst.entity.statistics().boosted, 0_ms);
}

// Half of the bucket is there after 10 times half the capacity; then it runs as PerfBurst until the bucket is
// empty, to the nanosecond.
TEST(PerfBurst, AHogIsBoostedForAnEleventhOfTheTimeOverall) {
    Machine machine;
    Task& burst = machine.add_hog(PerfBurst, 100);
    Task& other = machine.add_hog(Interactive, 100);
    machine.run_for(11_s);
    const Duration boosted = burst.entity.statistics().boosted;
    EXPECT_LE(boosted, 11_s / 11 + 20_ms);
    // Each round of 10 ms boost costs up to one request of either task more than it has to.
    EXPECT_GE(ratio(boosted, 11_s), 0.06);
    EXPECT_GT(burst.entity.runtime(machine.now()), other.entity.runtime(machine.now()));
}

TEST(PerfBurst, ABoostedTaskGetsTwiceAsMuchAsInteractiveUntilItEnds) {
    Machine machine;
    Task& burst = machine.add(burster(50_ms), {.work = 50_ms, .rest = 10_s, .first_wake = 1_ms});
    Task& hog = machine.add_hog(Interactive, 100);
    machine.run_until(at(11_s));  // slept long: the bucket is full
    machine.mark();
    Instant woken_at;
    while (burst.entity.effective() != PerfBurst) {
        machine.run_for(1_ms);
        woken_at = machine.now();
    }
    machine.mark();
    const Duration before = burst.entity.statistics().boosted;
    machine.run_for(60_ms);
    ASSERT_EQ(burst.entity.effective(), PerfBurst);
    // 128 : 64, within one class request of either.
    EXPECT_NEAR(part(machine, burst, 60_ms), 2.0 / 3, 3.0 / 60);
    EXPECT_EQ((burst.entity.statistics().boosted - before).ns(), machine.since_mark(burst).ns());
    EXPECT_GT(machine.since_mark(hog), 0_ms);
}

// The boost ends at the instant the bucket is empty, whoever looks when.
TEST(PerfBurst, EndsToTheNanosecond) {
    for (const bool is_alone : {false, true}) {
        Machine machine;
        Task& burst = machine.add(burster(20_ms), {.work = 90_ms, .rest = 5_s, .first_wake = 400_ms});
        if (!is_alone) {
            machine.add_hog(Normal, 100);
        }
        machine.run_until(at(800_ms));
        EXPECT_EQ(burst.entity.effective(), Interactive);
        EXPECT_EQ(burst.entity.statistics().boosted, 20_ms) << is_alone;  // 400 ms of life filled it
    }
}

TEST(PerfBurst, ALoneBoostedTaskNeedsNoTimer) {
    RunQueue queue;
    queue.start(CpuId{0}, Instant{});
    Entity entity;
    entity.attributes = burster();
    queue.note_woken(entity, at(1_s));
    queue.enqueue(entity, at(1_s), kernel::sched::EnqueueReason::Wake);
    queue.pick_next(at(1_s));
    ASSERT_EQ(entity.effective(), PerfBurst);
    EXPECT_TRUE(queue.next_event(at(1_s)).is_never());
    Entity other;
    other.attributes = make(Idle);
    queue.enqueue(other, at(1_s), kernel::sched::EnqueueReason::New);
    EXPECT_LE(queue.next_event(at(1_s)), at(1_s + 20_ms));
}

TEST(PerfBurst, ComesBackOnlyWithHalfABucket) {
    Machine machine;
    machine.add_hog(Normal, 100);
    // 5 ms of work every 55 ms: what is drained comes in again, but never half of the bucket at once.
    Task& burst = machine.add(burster(20_ms), {.work = 30_ms, .rest = 30_ms});
    int boosts = 0;
    bool was_boosted = false;
    while (machine.now() < at(4_s)) {
        machine.run_for(1_ms);
        const bool is_boosted = burst.entity.effective() == PerfBurst;
        boosts += is_boosted && !was_boosted ? 1 : 0;
        was_boosted = is_boosted;
    }
    // At least 100 ms, in which half a bucket fills, between two boosts.
    EXPECT_GE(boosts, 10);
    EXPECT_LE(boosts, 41);
}

// 50 tasks that take turns at being boosted fill the class; its root weight bounds them all the same.
TEST(PerfBurst, AFarmLeavesEveryOtherClassItsFloor) {
    Machine machine;
    Task& idle = machine.add_hog(Idle, 100);
    Task& normal = machine.add_hog(Normal, 100);
    Task& interactive = machine.add_hog(Interactive, 1000);
    for (int i = 0; i < 50; ++i) {
        machine.add(burster(50_ms), {.work = 3_ms + 7_us * i, .rest = 60_ms + 1_ms * i});
    }
    machine.run_for(1_s);
    machine.mark();
    machine.run_for(15_s);
    EXPECT_GE(part(machine, idle, 15_s), 0.0047);
    EXPECT_GE(part(machine, normal, 15_s), 0.0765 - 0.0005);
    EXPECT_GT(part(machine, interactive, 15_s), 0.0);
    EXPECT_LE(idle.entity.statistics().wait_max, class_wait_bound(Idle));
    EXPECT_LE(normal.entity.statistics().wait_max, class_wait_bound(Normal));
}

// All four classes saturated: a boost that never ends is the only way, and the fault of the negative control.
TEST(ClassFloors, FourSaturatedClassesShareByTheRootWeights) {
    Machine machine{1, Faults{.endless_boost = true}};
    Task& idle = machine.add_hog(Idle, 100);
    Task& normal = machine.add_hog(Normal, 100);
    Task& interactive = machine.add_hog(Interactive, 100);
    Task& burst = machine.add_hog(PerfBurst, 100);
    machine.run_for(2_s);
    ASSERT_EQ(burst.entity.effective(), PerfBurst);
    for (Task* task : {&idle, &normal, &interactive, &burst}) {
        EXPECT_LE(task->entity.statistics().wait_max, class_wait_bound(task->entity.effective()));
    }
    machine.mark();
    const Duration window = 20'900_ms;
    machine.run_for(window);
    // 1 : 16 : 64 : 128 of 209; the error is a few class requests at either end of the window.
    EXPECT_GE(part(machine, idle, window), 0.0047);
    EXPECT_NEAR(part(machine, idle, window), 1.0 / 209, 0.0003);
    EXPECT_NEAR(part(machine, normal, window), 16.0 / 209, 0.0006);
    EXPECT_NEAR(part(machine, interactive, window), 64.0 / 209, 0.0006);
    EXPECT_NEAR(part(machine, burst, window), 128.0 / 209, 0.0006);
    EXPECT_LE(idle.entity.statistics().wait_max, 250_ms);
    EXPECT_LE(normal.entity.statistics().wait_max, 45_ms);
    EXPECT_LE(interactive.entity.statistics().wait_max, 24_ms);
    EXPECT_LE(burst.entity.statistics().wait_max, 15_ms);
}

TEST(PerfBurst, TheBoostFaultIsVisible) {
    Machine machine{1, Faults{.endless_boost = true}};
    Task& burst = machine.add_hog(PerfBurst, 100);
    machine.add_hog(Interactive, 100);
    machine.run_for(11_s);
    EXPECT_GT(burst.entity.statistics().boosted, 11_s / 11 + 20_ms);
}

TEST(PerfBurst, LoweringTheClassEndsTheBoost) {
    Machine machine;
    machine.add_hog(Normal, 100);
    Task& burst = machine.add(burster(), {.work = 10_s, .rest = 1_s, .first_wake = 1_s});
    machine.run_until(at(1_s + 1_ms));
    ASSERT_EQ(burst.entity.effective(), PerfBurst);
    machine.set(burst, make(Normal));
    EXPECT_EQ(burst.entity.effective(), Normal);
    const Duration boosted = burst.entity.statistics().boosted;
    machine.run_for(100_ms);
    EXPECT_EQ(burst.entity.statistics().boosted, boosted);
}

}  // namespace
}  // namespace sched_test
