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
    EXPECT_EQ(a.statistics().runtime_by_cpu[1], 1_ms);
    EXPECT_EQ(other.idle(), 4_ms);
}

}  // namespace
}  // namespace sched_test
