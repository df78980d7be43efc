// SPDX-License-Identifier: MIT
// One hart, step by step: at time t, who runs, and when is the next decision due. The constants of the class
// table that the tables below rest on are pinned first: when they are retuned, these tables are to be
// computed anew.
#include <gtest/gtest.h>

#include "machine.hpp"
#include "sched/qos.hpp"

namespace sched_test {
namespace {

using kernel::sched::EnqueueReason;
using kernel::sched::Preempt;
using kernel::sched::PutReason;
using enum QosClass;

static_assert(kernel::sched::row_of(Normal).task_request == 3_ms);
static_assert(kernel::sched::row_of(Normal).class_request == 2_ms &&
              kernel::sched::row_of(Normal).weight == 16);
static_assert(kernel::sched::row_of(Idle).class_request == 1_ms && kernel::sched::row_of(Idle).weight == 1);
static_assert(kernel::sched::row_of(Interactive).class_request == 3_ms);
static_assert(kernel::sched::kMinGranularity == 500_us);

const Instant kNever = Instant::never();

class Timetable : public testing::Test {
  protected:
    Timetable() { queue.start(CpuId{0}, Instant{}); }
    ~Timetable() override {
        while (queue.current() != nullptr || queue.pick_next(clock).entity != nullptr) {
            queue.put_current(clock, PutReason::Exit);
        }
    }
    Preempt::Kind arrives(Duration t, Entity& entity, const Attributes& attributes, EnqueueReason reason) {
        if (reason != EnqueueReason::Migrate && !entity.has_run()) {
            entity.attributes = attributes;
        }
        clock = at(t);
        return queue.enqueue(entity, clock, reason).kind;
    }
    // At t, after a decision if one is due, `entity` runs and the next decision is due at `next`.
    void expect(Duration t, const Entity* entity, Instant next) {
        clock = at(t);
        if (queue.should_resched(clock)) {
            queue.pick_next(clock);
        }
        EXPECT_EQ(queue.current(), entity) << "at " << t.ns() << " ns";
        if (queue.current() != nullptr) {
            queue.note_started(clock);
        }
        EXPECT_EQ(queue.next_event(clock), next) << "at " << t.ns() << " ns";
        const auto violation = kernel::sched::Auditor::check(queue);
        EXPECT_FALSE(violation.found()) << violation.rule;
    }
    void leaves(Duration t, PutReason reason) {
        clock = at(t);
        queue.put_current(clock, reason);
    }

    RunQueue queue;
    Instant clock;
    Entity a;
    Entity b;
    Entity c;
};

TEST_F(Timetable, NothingToRun) {
    expect(0_ms, nullptr, kNever);
    expect(5_ms, nullptr, kNever);
    queue.charge_current(at(5_ms));
    EXPECT_EQ(queue.idle(), 5_ms);
}

TEST_F(Timetable, ALoneTaskNeedsNoTimer) {
    EXPECT_EQ(arrives(1_ms, a, make(Normal), EnqueueReason::New), Preempt::Kind::Now);
    expect(1_ms, &a, kNever);
    expect(60_s, &a, kNever);
    leaves(60_s, PutReason::Block);
    expect(60_s, nullptr, kNever);
    EXPECT_EQ(queue.busy(), 60_s - 1_ms);
    EXPECT_EQ(queue.idle(), 1_ms);
}

TEST_F(Timetable, TwoEqualsAlternateByRequests) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, kNever);
    EXPECT_EQ(arrives(1_ms, b, make(Normal), EnqueueReason::New), Preempt::Kind::No);
    expect(1_ms, &a, at(3_ms));
    expect(2999_us, &a, at(3_ms));
    expect(3_ms, &b, at(6_ms));  // a had 3, b 0 since it came at a's 1
    expect(6_ms, &a, at(9_ms));
    expect(9_ms, &b, at(12_ms));
}

TEST_F(Timetable, SharesOneToThree) {
    arrives(0_ms, a, make(Normal, 100), EnqueueReason::New);
    arrives(0_ms, b, make(Normal, 300), EnqueueReason::New);
    expect(0_ms, &b, at(3_ms));  // deadline after 3/3 against 3/1
    expect(3_ms, &a, at(6_ms));  // b is ahead: 1.0 against a mean of 0.75
    expect(6_ms, &b, at(9_ms));
    expect(9_ms, &b, at(12_ms));
    expect(12_ms, &b, at(15_ms));
    expect(15_ms, &a, at(18_ms));
}

TEST_F(Timetable, NormalAndIdleTakeTurns) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Idle), EnqueueReason::New);
    expect(0_ms, &a, at(2_ms));
    expect(2_ms, &b, at(3_ms));
    for (Duration t = 3_ms; t < 19_ms; t += 2_ms) {
        expect(t, &a, at(t + 2_ms));
    }
    expect(19_ms, &b, at(20_ms));  // once every 17 ms from here
    expect(20_ms, &a, at(22_ms));
}

TEST_F(Timetable, AHigherClassPreemptsAtOnce) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, kNever);
    EXPECT_EQ(arrives(100_us, b, make(Interactive), EnqueueReason::Wake), Preempt::Kind::Now);
    expect(100_us, &b, at(3100_us));
    leaves(600_us, PutReason::Block);
    expect(600_us, &a, kNever);
    EXPECT_EQ(a.statistics().preempted, 1U);
    EXPECT_EQ(b.statistics().wake_latency[0], 1U);
}

TEST_F(Timetable, ALowerClassNeverPreempts) {
    arrives(0_ms, a, make(Interactive), EnqueueReason::New);
    expect(0_ms, &a, kNever);
    EXPECT_EQ(arrives(100_us, b, make(Normal), EnqueueReason::Wake), Preempt::Kind::No);
    expect(100_us, &a, at(3_ms));
}

// The order in which an inbox is emptied says nothing about who is urgent.
TEST_F(Timetable, OfTwoThatWakeTogetherTheHigherClassRuns) {
    arrives(0_ms, a, make(Idle), EnqueueReason::New);
    expect(0_ms, &a, kNever);
    EXPECT_EQ(arrives(100_us, b, make(Interactive), EnqueueReason::Wake), Preempt::Kind::Now);
    EXPECT_EQ(arrives(100_us, c, make(Normal), EnqueueReason::Wake), Preempt::Kind::Now);
    expect(100_us, &b, at(3100_us));
}

TEST_F(Timetable, AnUnhintedPeerWaitsForTheMinimumGranularity) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    expect(3_ms, &b, at(6_ms));
    leaves(3100_us, PutReason::Block);
    expect(3100_us, &a, kNever);
    // b has had 0.1 against a's 3 ms: eligible, and its new deadline is the earlier one.
    EXPECT_EQ(arrives(3200_us, b, make(Normal), EnqueueReason::Wake), Preempt::Kind::At);
    expect(3200_us, &a, at(3600_us));
    expect(3600_us, &b, at(6600_us));
}

TEST_F(Timetable, AHintedPeerDoesNot) {
    Attributes hinted = make(Normal);
    hinted.latency = 1_ms;
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, hinted, EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    expect(3_ms, &b, at(6_ms));
    leaves(3100_us, PutReason::Block);
    expect(3100_us, &a, kNever);
    EXPECT_EQ(arrives(3200_us, b, hinted, EnqueueReason::Wake), Preempt::Kind::Now);
    expect(3200_us, &b, at(6200_us));  // starts early, but the request is as long as ever
    EXPECT_EQ(b.statistics().latency_target_met, 1U);
    EXPECT_TRUE(b.position().fresh);
    expect(6200_us, &a, at(9100_us));
    EXPECT_FALSE(b.position().fresh);  // the hint is spent with the first request
}

TEST_F(Timetable, YieldLetsAnEligiblePeerRun) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Normal), EnqueueReason::New);
    arrives(0_ms, c, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    leaves(0_ms, PutReason::Yield);  // has not run at all: its lag is no worse than theirs
    expect(0_ms, &b, at(3_ms));
    leaves(0_ms, PutReason::Yield);
    expect(0_ms, &c, at(3_ms));
    leaves(0_ms, PutReason::Yield);
    expect(0_ms, &a, at(3_ms));
    EXPECT_EQ(a.statistics().switches_voluntary, 1U);
}

// The peer's deadline is a thousand requests away; it is eligible, so the yielding task still makes way.
TEST_F(Timetable, YieldToALightPeer) {
    arrives(0_ms, a, make(Normal, 1000), EnqueueReason::New);
    arrives(0_ms, b, make(Normal, 1), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    leaves(0_ms, PutReason::Yield);
    expect(0_ms, &b, at(3_ms));
    expect(3_ms, &a, at(6_ms));
}

TEST_F(Timetable, YieldAloneGoesOn) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, kNever);
    leaves(1_ms, PutReason::Yield);
    EXPECT_EQ(queue.next_event(at(1_ms)), at(1_ms));
    expect(1_ms, &a, kNever);
    EXPECT_EQ(queue.switches(), 1U);
}

TEST_F(Timetable, YieldCostsNoShare) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    leaves(1_ms, PutReason::Yield);
    expect(1_ms, &b, at(4_ms));
    expect(4_ms, &a, at(7_ms));  // a had 1, b 3
    expect(7_ms, &b, at(10_ms));
}

TEST_F(Timetable, AChildStandsHalfARequestBehindItsParent) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    queue.charge_current(at(1_ms));
    c.attributes = make(Normal);
    queue.inherit_position(c, a);
    EXPECT_EQ(arrives(1_ms, c, make(Normal), EnqueueReason::New), Preempt::Kind::No);
    // a at 1, c at 1 + 1.5: the child's lag against the mean of 0, 1 and 2.5 is the greatest.
    EXPECT_LT(queue.lag(c), queue.lag(a));
    expect(3_ms, &b, at(6_ms));
}

// What is stolen keeps its lag, its deadline and what is left of its request.
TEST_F(Timetable, MigrationKeepsThePlaceInTime) {
    std::array<Duration, 2> by_cpu{};
    a.keep_runtime_by_cpu(by_cpu);
    RunQueue other;
    other.start(CpuId{1}, Instant{});
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    expect(3_ms, &b, at(6_ms));
    const auto rest = a.position().request_end - a.position().vt;
    queue.remove(a, at(4_ms));
    EXPECT_EQ(a.state(), TaskState::Migrating);
    EXPECT_EQ(queue.next_event(at(4_ms)), kNever);
    const auto global = a.position().global;
    other.enqueue(a, at(4_ms), EnqueueReason::Migrate);
    EXPECT_EQ(other.queue(Normal).global_of(a), global);
    EXPECT_EQ(a.position().request_end - a.position().vt, rest);
    other.pick_next(at(4_ms));
    EXPECT_EQ(a.statistics().migrations, 1U);
    EXPECT_EQ(a.statistics().wait_max, 1_ms);
    other.put_current(at(5_ms), PutReason::Exit);
    EXPECT_EQ(a.runtime_on(CpuId{1}), 1_ms);
    EXPECT_EQ(other.idle(), 4_ms);
}

// The same into a queue with a frame of its own, where the task has to be shifted.
TEST_F(Timetable, MigrationIntoABusyQueueShiftsTheRequestToo) {
    RunQueue other;
    other.start(CpuId{1}, Instant{});
    c.attributes = make(Normal);
    other.enqueue(c, at(0_ms), EnqueueReason::New);
    other.pick_next(at(0_ms));
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    queue.put_current(at(1_ms), PutReason::Preempted);
    queue.remove(a, at(1_ms));
    const auto vt = a.position().vt;
    const auto rest = a.position().request_end - vt;
    const auto lead = a.position().deadline - vt;
    EXPECT_LT(rest, kernel::sched::span_of(3_ms, 1600));
    other.enqueue(a, at(900_ms), EnqueueReason::Migrate);
    EXPECT_NE(a.position().vt, vt);
    EXPECT_EQ(a.position().request_end - a.position().vt, rest);
    EXPECT_EQ(a.position().deadline - a.position().vt, lead);
    // Far behind what runs there by the machine's clock: it has its credit, as much as may travel, against
    // one peer.
    EXPECT_EQ(other.lag(a), kernel::sched::kLagMax / 2);
    other.remove(a, at(900_ms));
    RunQueue::retire(a, at(900_ms));
    other.put_current(at(900_ms), PutReason::Exit);
    expect(900_ms, &b, kNever);
}

// A hart with one light task runs through virtual time a thousand times as fast as one with a heavy task.
// Whoever comes from there is in debt by the machine's clock, and waits for it, but no longer than the bound
// in real time.
TEST_F(Timetable, DebtFromAnotherFrameIsBounded) {
    RunQueue other;
    other.start(CpuId{1}, Instant{});
    Entity lone;
    lone.attributes = make(Normal, 1);
    other.enqueue(lone, at(0_ms), EnqueueReason::New);
    other.pick_next(at(0_ms));
    other.put_current(at(900_ms), PutReason::Exit);
    c.attributes = make(Normal, 1000);
    other.enqueue(c, at(900_ms), EnqueueReason::Wake);
    other.pick_next(at(900_ms));
    other.put_current(at(901_ms), PutReason::Block);

    arrives(0_ms, a, make(Normal, 1000), EnqueueReason::New);
    queue.pick_next(at(0_ms));
    arrives(905_ms, c, make(Normal, 1000), EnqueueReason::Wake);
    while (queue.current() != &c && clock < at(20_s)) {
        clock = queue.next_event(clock);
        queue.pick_next(clock);
    }
    const Duration fluid_turn = 3_ms * 2;
    EXPECT_LE(clock - at(905_ms), fluid_turn + kernel::sched::kLagMax);
    EXPECT_GT(clock - at(905_ms), fluid_turn);
}

// Moving a frame is neither credit nor debt for who sleeps: it keeps its place in the queue it was on.
TEST_F(Timetable, ASleeperKeepsItsPlaceAcrossACompression) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    leaves(2900_us, PutReason::Block);
    expect(2900_us, &b, kNever);
    const auto before = queue.queue(Normal).global_now();
    queue.shift_frames({0, -kernel::sched::span_of(10_s, 1600), 0, 0}, 1);
    EXPECT_EQ(queue.queue(Normal).global_now() - before, -kernel::sched::span_of(10_s, 1600));
    EXPECT_EQ(arrives(3000_us, a, make(Normal), EnqueueReason::Wake), Preempt::Kind::No);
    EXPECT_EQ(queue.lag(a), -1400_us);  // as in DebtIsKeptAsleep
    expect(3000_us, &b, at(5900_us));
}

// The same for one that is under way to another hart when the frames move: it is placed by the lag it had.
TEST_F(Timetable, ATravellerKeepsItsLagAcrossACompression) {
    RunQueue other;
    other.start(CpuId{1}, Instant{});
    c.attributes = make(Normal);
    other.enqueue(c, at(0_ms), EnqueueReason::New);
    other.pick_next(at(0_ms));
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    queue.put_current(at(1_ms), PutReason::Preempted);
    ASSERT_EQ(queue.lag(a), -500_us);
    queue.remove(a, at(1_ms));
    other.shift_frames({0, -kernel::sched::span_of(10_s, 1600), 0, 0}, 1);
    other.enqueue(a, at(1_ms), EnqueueReason::Migrate);
    EXPECT_EQ(other.lag(a), -250_us);  // half a millisecond against one peer
    other.remove(a, at(1_ms));
    RunQueue::retire(a, at(1_ms));
    other.put_current(at(1_ms), PutReason::Exit);
    expect(1_ms, &b, kNever);
}

// An order to move frames that was overtaken by a later one is void.
TEST_F(Timetable, FramesDoNotGoBackToAnOldEpoch) {
    const auto before = queue.queue(Normal).global_now();
    queue.shift_frames({0, 1000, 0, 0}, 2);
    queue.shift_frames({0, 5000, 0, 0}, 1);
    EXPECT_EQ(queue.queue(Normal).global_now() - before, 1000);
    EXPECT_EQ(queue.epoch(), 2U);
}

// Correction 1: a heavy task with debt beside a share-1 and a share-1000 hog. Without the bound in real time
// it would wait for seconds.
TEST_F(Timetable, DebtIsBoundedByTheFluidTurnAndLagMax) {
    arrives(0_ms, a, make(Normal, 1000), EnqueueReason::New);
    arrives(0_ms, b, make(Normal, 1000), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    // a is 1.5 ms ahead of the mean, b behind it. As a share-1 task b is owed the same 1.5 ms, a long way in
    // virtual time, and when a sleeps b alone is the mean.
    ASSERT_FALSE(queue.set_attributes(b, make(Normal, 1), at(2900_us)));
    leaves(2900_us, PutReason::Block);
    expect(2900_us, &b, kNever);
    arrives(2900_us, c, make(Normal, 1000), EnqueueReason::New);
    expect(2900_us, &b, queue.next_event(clock));
    arrives(3_ms, a, make(Normal, 1000), EnqueueReason::Wake);
    while (queue.current() != &a && clock < at(20_s)) {
        clock = queue.next_event(clock);
        queue.pick_next(clock);
    }
    const Duration fluid_turn = 3_ms * (16 + 16'000 + 16'000) / 16'000;
    EXPECT_LE(clock - at(3_ms), fluid_turn + kernel::sched::kLagMax);
    EXPECT_GT(clock - at(3_ms), fluid_turn);  // it is debt, not an amnesty
}

TEST_F(Timetable, DebtIsKeptAsleep) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    leaves(2900_us, PutReason::Block);
    expect(2900_us, &b, kNever);
    // a is 2.9 ms ahead of b but for the 0.1 ms it slept: not eligible before b has caught up.
    EXPECT_EQ(arrives(3000_us, a, make(Normal), EnqueueReason::Wake), Preempt::Kind::No);
    EXPECT_EQ(queue.lag(a), -1400_us);
    expect(3000_us, &b, at(5900_us));
}

TEST_F(Timetable, WarpLetsAHigherClassStartAheadOfItsShare) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Interactive), EnqueueReason::New);
    expect(0_ms, &b, at(3_ms));
    leaves(2_ms, PutReason::Block);
    expect(2_ms, &a, kNever);
    // Interactive has had 2 ms of 2.1, more than its 64 of 80, but less than 4 ms too much.
    EXPECT_EQ(arrives(2100_us, b, make(Interactive), EnqueueReason::Wake), Preempt::Kind::Now);
    expect(2100_us, &b, at(5100_us));
    expect(5100_us, &b, at(8100_us));
    expect(8100_us, &a, at(10_ms));  // still within its warp, but now the deadlines decide
}

TEST_F(Timetable, AClassThatSleptHasNoCredit) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, kNever);
    EXPECT_EQ(arrives(900_ms, b, make(Idle), EnqueueReason::New), Preempt::Kind::No);
    expect(900_ms, &a, at(902_ms));
    expect(902_ms, &b, at(903_ms));
    expect(903_ms, &a, at(905_ms));
    expect(905_ms, &a, at(907_ms));
}

// What an interrupt comes late for is part of the next request: ten late ones make one late by one, not by
// ten.
TEST_F(Timetable, LatenessDoesNotAddUp) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    expect(3010_us, &b, at(6010_us));
    expect(6020_us, &a, at(9010_us));
    expect(9020_us, &b, at(12010_us));
    expect(12020_us, &a, at(15010_us));
}

// A decision that is due stays due when someone brought the accounts up to date in between.
TEST_F(Timetable, AChargeDoesNotSwallowTheEndOfARequest) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    queue.charge_current(at(3_ms));
    expect(3_ms, &b, at(6_ms));
    queue.charge_current(at(6001_us));
    expect(6001_us, &a, at(9001_us));
}

TEST_F(Timetable, AChargeDoesNotSwallowTheEndOfAClassRequest) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Idle), EnqueueReason::New);
    expect(0_ms, &a, at(2_ms));
    queue.charge_current(at(2_ms));
    expect(2_ms, &b, at(3_ms));
}

TEST_F(Timetable, APendingPreemptionLeavesWithItsCause) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, at(3_ms));
    expect(3_ms, &b, at(6_ms));
    leaves(3100_us, PutReason::Block);
    expect(3100_us, &a, kNever);
    EXPECT_EQ(arrives(3200_us, b, make(Normal), EnqueueReason::Wake), Preempt::Kind::At);
    queue.remove(b, at(3300_us));
    expect(3300_us, &a, kNever);
    RunQueue::retire(b, at(3300_us));
    EXPECT_EQ(arrives(3400_us, c, make(Normal), EnqueueReason::New), Preempt::Kind::No);
    EXPECT_GT(queue.next_event(at(3400_us)), at(3600_us));
}

TEST_F(Timetable, ALooseLatencyHintIsNoWorseThanNone) {
    Attributes loose = make(Normal, 1000);
    loose.latency = 1_s;
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    expect(0_ms, &a, kNever);
    arrives(1_ms, b, loose, EnqueueReason::Wake);
    EXPECT_EQ(b.position().deadline, b.position().request_end);
}

TEST_F(Timetable, ASleepersCreditDoesNotReachAnotherClass) {
    arrives(0_ms, a, make(Normal), EnqueueReason::New);
    arrives(0_ms, b, make(Normal), EnqueueReason::New);
    arrives(0_ms, c, make(Idle), EnqueueReason::New);
    expect(0_ms, &a, at(2_ms));
    queue.pick_next(at(2_ms));
    ASSERT_EQ(queue.current(), &c);
    queue.pick_next(at(3_ms));
    ASSERT_EQ(queue.current(), &b);
    ASSERT_EQ(queue.lag(b), 1_ms);
    queue.put_current(at(3_ms), PutReason::Block);
    ASSERT_FALSE(queue.set_attributes(b, make(Idle), at(3_ms)));
    arrives(3_ms, b, make(Idle), EnqueueReason::Wake);
    EXPECT_EQ(queue.lag(b), 0_ms);
}

}  // namespace
}  // namespace sched_test
