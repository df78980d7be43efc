// SPDX-License-Identifier: MIT
// The planted defects of a run queue (Faults in qos.hpp), each by itself: what it changes, exactly, and that
// nothing else plants it. They are what proves that measurements would notice, so each must do what it says.
#include <gtest/gtest.h>

#include "machine.hpp"

namespace sched_test {
namespace {

using kernel::sched::Donation;
using kernel::sched::EnqueueReason;
using kernel::sched::index_of;
using kernel::sched::Pick;
using kernel::sched::PutReason;
using enum QosClass;

class FaultOf : public testing::Test {
  protected:
    // Two tasks on hart 0, the first of which runs.
    void begin(Faults faults, const Attributes& first, const Attributes& second) {
        queue.start(CpuId{0}, Instant{}, kernel::sched::kCapacityFull, faults);
        one.attributes = first;
        other.attributes = second;
        static_cast<void>(queue.enqueue(one, Instant{}, EnqueueReason::New));
        static_cast<void>(queue.pick_next(Instant{}));
    }
    void add_other(Instant now) { static_cast<void>(queue.enqueue(other, now, EnqueueReason::New)); }

    RunQueue queue;
    Entity one;
    Entity other;
};

TEST_F(FaultOf, AlwaysTick) {
    begin({.always_tick = true}, make(Normal), make(Normal));
    EXPECT_EQ(queue.next_event(at(1_ms)), at(5_ms)) << "though nobody waits";
    queue.put_current(at(1_ms), PutReason::Block);
    static_cast<void>(queue.pick_next(at(1_ms)));
    EXPECT_TRUE(queue.next_event(at(1_ms)).is_never()) << "nothing runs";
}
TEST_F(FaultOf, NoneTicks) {
    begin({}, make(Normal), make(Normal));
    EXPECT_TRUE(queue.next_event(at(1_ms)).is_never());
}

TEST_F(FaultOf, LoseTime) {
    begin({.lose_time = true}, make(Normal), make(Normal));
    queue.charge_current(at(64_us));
    EXPECT_EQ(one.statistics().runtime, 63_us);
    EXPECT_EQ(queue.busy(), 63_us);
    EXPECT_EQ(queue.idle(), 0_us);
}

TEST_F(FaultOf, HintsBuyShare) {
    Attributes hinted = make(Normal);
    hinted.latency = 2_ms;
    begin({.hints_buy_share = true}, hinted, make(Normal));
    queue.charge_current(at(1_ms));
    const auto vt = one.position().vt;
    EXPECT_EQ(vt - kernel::sched::VirtualTime{}, kernel::sched::span_of(500_us, one.position().weight));
    EXPECT_EQ(one.statistics().runtime, 1_ms) << "its figures tell the truth";
}

TEST_F(FaultOf, StrictClasses) {
    begin({.strict_classes = true}, make(Interactive), make(Normal));
    add_other(at(0_ms));
    for (int i = 1; i <= 100; ++i) {
        ASSERT_EQ(queue.pick_next(at(10_ms * i)).entity, &one) << "it never gives way";
    }
}

TEST_F(FaultOf, NeverPreempt) {
    begin({.never_preempt = true}, make(Normal), make(Interactive));
    add_other(at(1_us));
    EXPECT_GT(queue.next_event(at(1_us)), at(1_ms)) << "a higher class waits for the end of a request";
}

TEST_F(FaultOf, EndlessBoost) {
    begin({.endless_boost = true}, make(PerfBurst), make(Interactive));
    add_other(at(0_ms));
    queue.charge_current(at(1_s));  // the bucket is full: a boost begins
    queue.charge_current(at(11_s));
    EXPECT_EQ(one.effective(), PerfBurst);
    EXPECT_EQ(one.statistics().boosted, 10_s);
}
TEST_F(FaultOf, NoneEndsABoost) {
    begin({}, make(PerfBurst), make(Interactive));
    add_other(at(0_ms));
    queue.charge_current(at(1_s));
    EXPECT_EQ(one.effective(), PerfBurst);
    queue.charge_current(at(1_s + 20_ms) - 1_ns);
    EXPECT_EQ(one.effective(), PerfBurst);
    queue.charge_current(at(1_s + 20_ms));
    EXPECT_EQ(one.effective(), Interactive);
    EXPECT_EQ(one.statistics().boosted, 20_ms);
}

TEST_F(FaultOf, NoDonation) {
    begin({.no_donation = true}, make(Normal), make(Normal));
    queue.set_donation(one, Donation{.qos_class = Interactive}, at(1_ms));
    EXPECT_EQ(one.effective(), Normal);
    EXPECT_FALSE(one.is_donated());
}

TEST_F(FaultOf, StayPut) {
    begin({.stay_put = true}, make(Normal), make(Normal));
    add_other(at(0_ms));
    EXPECT_EQ(queue.find_stealable(CpuId{1}), nullptr);
    int candidates = 0;
    queue.for_candidates(index_of(Normal), CpuMask::all(), [&](Entity&, auto) { ++candidates; });
    EXPECT_EQ(candidates, 0);
}
TEST_F(FaultOf, NoneStaysPut) {
    begin({}, make(Normal), make(Normal));
    add_other(at(0_ms));
    EXPECT_EQ(queue.find_stealable(CpuId{1}), &other);
}

TEST_F(FaultOf, IgnoreAffinity) {
    begin({.ignore_affinity = true}, make(Normal, 100, CpuMask::of(CpuId{0})),
          make(Normal, 100, CpuMask::of(CpuId{0})));
    add_other(at(0_ms));
    EXPECT_EQ(queue.find_stealable(CpuId{1}), &other);
    EXPECT_TRUE(queue.allows(other, CpuId{1}));
    EXPECT_EQ(queue.load().running_mask, CpuMask::all());
    EXPECT_EQ(queue.load().waiting_mask[index_of(Normal)], CpuMask::all());
}

TEST_F(FaultOf, IgnoreShares) {
    begin({.ignore_shares = true}, make(Normal, 7), make(Normal, 900));
    add_other(at(0_ms));
    EXPECT_EQ(one.position().weight, other.position().weight);
}

// A pick says whether others are to be looked at: at the end of a request, and where a lower class comes on.
// Not where nothing is balanced, or everybody stays where he is.
class BalanceFlag : public FaultOf, public testing::WithParamInterface<bool> {};

TEST_P(BalanceFlag, OfALoneTask) {
    // Alone, its pick is the short one.
    for (const Faults faults : {Faults{.no_balance = true}, Faults{.stay_put = true}, Faults{}}) {
        RunQueue hart;
        Entity task;
        task.attributes = make(Normal);
        hart.start(CpuId{0}, Instant{}, kernel::sched::kCapacityFull, faults);
        static_cast<void>(hart.enqueue(task, Instant{}, EnqueueReason::New));
        EXPECT_EQ(hart.pick_next(Instant{}).balance, faults == Faults{}) << "the hart was idle";
        EXPECT_FALSE(hart.pick_next(Instant{}).balance) << "nothing is lower or over";
        if (GetParam()) {
            Attributes lower = task.attributes;
            lower.qos_class = Idle;
            static_cast<void>(hart.set_attributes(task, lower, at(1_ms)));
            EXPECT_EQ(hart.pick_next(at(1_ms)).balance, faults == Faults{}) << "a lower class comes on";
            lower.qos_class = Interactive;
            static_cast<void>(hart.set_attributes(task, lower, at(2_ms)));
            EXPECT_FALSE(hart.pick_next(at(2_ms)).balance) << "a higher one";
        }
    }
}
TEST_P(BalanceFlag, OfTwo) {
    for (const Faults faults : {Faults{.no_balance = true}, Faults{.stay_put = true}, Faults{}}) {
        RunQueue hart;
        Entity task;
        Entity waiting;
        task.attributes = waiting.attributes = make(Normal);
        hart.start(CpuId{0}, Instant{}, kernel::sched::kCapacityFull, faults);
        static_cast<void>(hart.enqueue(task, Instant{}, EnqueueReason::New));
        static_cast<void>(hart.enqueue(waiting, Instant{}, EnqueueReason::New));
        static_cast<void>(hart.pick_next(Instant{}));
        EXPECT_FALSE(hart.pick_next(at(1_us)).balance) << "in the middle of a request";
        const Instant end = hart.next_event(at(1_us));
        const Pick pick = hart.pick_next(end);
        EXPECT_TRUE(pick.switched);
        EXPECT_EQ(pick.balance, faults == Faults{}) << "a request is over";
        EXPECT_FALSE(hart.pick_next(end + 1_us).balance) << "it was looked at";
    }
}
INSTANTIATE_TEST_SUITE_P(WithAndWithoutChanges, BalanceFlag, testing::Bool());

}  // namespace
}  // namespace sched_test
