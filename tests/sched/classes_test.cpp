// SPDX-License-Identifier: MIT
// The promises of the class table (sched/qos.hpp), one test each, and virtual times that wrap.
#include <gtest/gtest.h>

#include "machine.hpp"
#include "sched/qos.hpp"

namespace sched_test {
namespace {

using kernel::sched::class_wait_bound;
using enum QosClass;

// Part of the hart in the window since mark(), in 1/10000.
std::int64_t part(const Machine& machine, const Task& task, Duration window) {
    return machine.since_mark(task).ns() * 10'000 / window.ns();
}

TEST(ClassFloors, SaturatedClassesShareByTheRootWeights) {
    Machine machine;
    Task& idle = machine.add_hog(Idle, 100);
    Task& normal = machine.add_hog(Normal, 100);
    Task& interactive = machine.add_hog(Interactive, 100);
    machine.run_for(1_s);
    machine.mark();
    machine.run_for(16200_ms);
    // 1 : 16 : 64 of 81. The error is a few class requests at either end of the window: 5 ms are 0.03 %.
    EXPECT_NEAR(static_cast<double>(part(machine, idle, 16200_ms)), 10'000.0 * 1 / 81, 3);
    EXPECT_NEAR(static_cast<double>(part(machine, normal, 16200_ms)), 10'000.0 * 16 / 81, 6);
    EXPECT_NEAR(static_cast<double>(part(machine, interactive, 16200_ms)), 10'000.0 * 64 / 81, 6);
    EXPECT_LE(idle.entity.statistics().wait_max, class_wait_bound(Idle));
    EXPECT_LE(normal.entity.statistics().wait_max, class_wait_bound(Normal));
    EXPECT_LE(interactive.entity.statistics().wait_max, class_wait_bound(Interactive));
}

TEST(ClassFloors, ShareDoesNotReachAcrossClasses) {
    Machine machine;
    Task& idle = machine.add_hog(Idle, 1000);
    Task& normal = machine.add_hog(Normal, 1);
    machine.run_for(17_s);
    EXPECT_NEAR(ratio(normal.entity.runtime(machine.now()), idle.entity.runtime(machine.now())), 16.0, 0.1);
}

// Wake-ups preempt, again and again; the floor holds because warp is bounded.
TEST(ClassFloors, IdleSurvivesAStormOfWakers) {
    Machine machine;
    Task& idle = machine.add_hog(Idle, 100);
    for (int i = 0; i < 4; ++i) {
        machine.add(make(Interactive), {.work = 300_us + 37_us * i, .rest = 200_us + 11_us * i});
        machine.add(make(PerfBurst), {.work = 400_us + 41_us * i, .rest = 150_us + 13_us * i});
        machine.add(make(Normal), {.work = 500_us, .rest = 100_us + 17_us * i});
    }
    machine.run_for(1_s);
    machine.mark();
    machine.run_for(15_s);
    EXPECT_GE(part(machine, idle, 15_s), 47);
    EXPECT_LE(idle.entity.statistics().wait_max, 250_ms);
}

// A machine that was stopped charges the task that ran a minute at once, which moves the root far ahead. When
// that task leaves, the root is where the others are again, and a class that was empty meanwhile starts
// there.
TEST(ClassFloors, AClassThatWasEmptyWhileTheHartStoodStillOwesNothing) {
    RunQueue queue;
    queue.start(CpuId{0}, Instant{});
    Entity idle;
    Entity normal;
    Entity interactive;
    idle.attributes = make(Idle);
    normal.attributes = make(Normal);
    interactive.attributes = make(Interactive);
    using enum kernel::sched::EnqueueReason;
    queue.enqueue(idle, at(0_ms), New);
    queue.pick_next(at(0_ms));
    queue.enqueue(interactive, at(0_ms), New);
    queue.enqueue(normal, at(60_s), New);
    queue.remove(interactive, at(60_s));
    ASSERT_EQ(queue.pick_next(at(60_s)).entity, &normal);
    queue.charge_current(at(60_s + 1_us));
    queue.remove(idle, at(60_s + 1_us));
    EXPECT_EQ(queue.enqueue(interactive, at(60_s + 2_us), Migrate).kind, kernel::sched::Preempt::Kind::Now);
    EXPECT_EQ(queue.pick_next(at(60_s + 2_us)).entity, &interactive);
    queue.put_current(at(60_s + 2_us), kernel::sched::PutReason::Exit);
    queue.remove(normal, at(60_s + 2_us));
}

TEST(ClassFloors, NormalSurvivesInteractiveHogs) {
    Machine machine;
    Task& normal = machine.add_hog(Normal, 100);
    for (int i = 0; i < 4; ++i) {
        machine.add_hog(Interactive, 1000);
    }
    machine.run_for(4_s);
    EXPECT_NEAR(ratio(normal.entity.runtime(machine.now()), 4_s), 0.2, 0.002);
    EXPECT_LE(normal.entity.statistics().wait_max, class_wait_bound(Normal));
}

TEST(Latency, AnInteractiveTaskUnderItsShareRunsAtOnce) {
    Machine machine;
    for (int i = 0; i < 8; ++i) {
        machine.add_hog(Normal, 100);
    }
    machine.add_hog(Idle, 100);
    machine.add_hog(Idle, 100);
    Task& ui = machine.add(make(Interactive), {.work = 2_ms, .rest = 14_ms, .first_wake = 700_us});
    machine.run_for(4_s);
    EXPECT_EQ(ui.entity.statistics().wake_latency_max, 0_ms);
    EXPECT_EQ(ui.entity.runtime(machine.now()), 500_ms);  // 2 of every 16 ms
}

// Idle's class time advances 2^14 per ns: 7 days are past half its range. Normal slept all the while.
TEST(Wrap, SevenDaysOfIdle) {
    Machine machine;
    Task& idle = machine.add_hog(Idle, 100);
    Task& other = machine.add(make(Idle), {.work = 1_ms, .rest = 3600_s * 24 * 7, .first_wake = 1_ms});
    Task& normal = machine.add(make(Normal), {.work = 1_s, .rest = 3600_s * 24 * 7, .first_wake = 1_ms});
    machine.run_for(3600_s * 24 * 7);
    machine.mark();
    // Both wake within this window; each is served by its share, none is owed or owes seven days.
    machine.run_for(3_s);
    EXPECT_EQ(machine.since_mark(normal), 1_s);
    EXPECT_EQ(normal.entity.statistics().wake_latency_max, 0_ms);
    EXPECT_EQ(machine.since_mark(other), 1_ms);
    EXPECT_LE(other.entity.statistics().wait_max, class_wait_bound(Idle) + 6_ms);
    EXPECT_EQ(machine.since_mark(idle), 3_s - 1_s - 1_ms);
    machine.expect_exact_accounts();
}

// 104 days of share 1 are half the range of a task's virtual time.
TEST(Wrap, HalfTheRangeOfShareOne) {
    for (const bool is_changed_asleep : {false, true}) {
        Machine machine;
        Task& least = machine.add_hog(Normal, 1);
        const Duration nap = 3600_s * 24 * 110;
        Task& sleeper = machine.add(make(Normal, 1), {.work = 10_ms, .rest = nap, .first_wake = 1_ms});
        machine.run_for(nap);
        ASSERT_EQ(sleeper.entity.state(), TaskState::Blocked);
        if (is_changed_asleep) {
            machine.set_shares(sleeper, 2);
            machine.set_shares(sleeper, 1);
        }
        const Duration before = sleeper.entity.runtime(machine.now());
        machine.run_for(40_ms);
        EXPECT_EQ(sleeper.entity.runtime(machine.now()) - before, 10_ms);
        EXPECT_LE(sleeper.entity.statistics().wait_max, 6_ms);
        machine.mark();
        Task& peer = machine.add_hog(Normal, 1);
        machine.run_for(600_ms);
        EXPECT_LE(std::abs((machine.since_mark(peer) - machine.since_mark(least)).ns()), Duration{6_ms}.ns());
    }
}

}  // namespace
}  // namespace sched_test
