// SPDX-License-Identifier: MIT
// The rules of balance.hpp that move tasks, one by one: what each compares, where exactly it begins to move
// something, how often it may, and how many harts it looks at.
#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "balance_rule.hpp"

namespace sched_test {
namespace {

using kernel::sched::kBalanceThreshold;
using kernel::sched::kProbedHarts;
using kernel::sched::kProbedVictims;
using kernel::sched::kPullSpacing;
using kernel::sched::kPushSpacing;

TEST(ServiceBehind, IsInTimeOfTheWeightAndEndsAtDays) {
    using kernel::sched::balance_detail::service_behind;
    const VirtualTime here{};
    for (const std::uint32_t weight : {16U, kWeight, 16'000U}) {
        EXPECT_EQ(service_behind(here + span_of(8_ms, weight), here, weight).ns() / 100, 80'000);
        EXPECT_EQ(service_behind(here, here + span_of(8_ms, weight), weight).ns() / 100, -80'000);
    }
    const Duration days = Duration::nanoseconds(std::int64_t{1} << 48U);
    EXPECT_EQ(service_behind(here + (VirtualSpan{1} << 62U), here, 16'000), days);
    EXPECT_EQ(service_behind(here, here + (VirtualSpan{1} << 62U), 16'000), Duration{} - days);
}

// --- Whom to ask ---

std::vector<std::uint32_t> probed(std::uint64_t harts, BalanceState& state, std::uint32_t limit,
                                  std::uint32_t last = 64) {
    std::vector<std::uint32_t> seen;
    kernel::sched::balance_detail::probe(CpuMask::from_bits(harts), CpuId{2}, state, limit, [&](CpuId cpu) {
        seen.push_back(cpu.value());
        return cpu.value() == last;
    });
    return seen;
}

TEST(Probe, AFewAreAskedFromTheNextOneOn) {
    BalanceState state;
    using Seen = std::vector<std::uint32_t>;
    EXPECT_EQ(probed(0b11111, state, 4), (Seen{3, 4, 0, 1})) << "all but itself";
    EXPECT_EQ(probed(0b11111, state, 4), (Seen{3, 4, 0, 1}));
    EXPECT_EQ(probed(0b11111, state, 4, 0), (Seen{3, 4, 0})) << "until one will do";
    EXPECT_EQ(probed(0b100, state, 4), Seen{});
    EXPECT_EQ(probed(0, state, 4), Seen{});
}

TEST(Probe, ManyAreAskedInTurns) {
    BalanceState state;
    CpuMask asked;
    for (int i = 0; i < 3; ++i) {
        const std::vector<std::uint32_t> seen = probed(0b1111111, state, 3);
        EXPECT_EQ(seen.size(), 3U);
        for (const std::uint32_t hart : seen) {
            asked.add(CpuId{hart});
        }
    }
    EXPECT_EQ(asked, CpuMask::from_bits(0b1111011)) << "everybody else is, in time";
    state.cursor = CpuId{6};
    EXPECT_EQ(probed(0b1111111, state, 3, 0).back(), 0U) << "until one will do";
    EXPECT_EQ(state.cursor, CpuId{0}) << "and on from there";
}

// --- push ---

class Push : public BalanceRule {
  protected:
    bool push() {
        harts.sent.clear();
        return kernel::sched::push(harts, kSelf, state);
    }
    // With hart 1 as described.
    bool push_with(const HartLoad& other) {
        harts.tell(CpuId{1}, other);
        state.next_push = harts.time;
        return push();
    }
    Entity& running{add(0, make(Normal))};
    Entity& waiting{add(0, make(Normal))};
};

TEST_F(Push, ToAnIdleHartAtOnceAndThenAfterAWhile) {
    EXPECT_TRUE(push());
    EXPECT_EQ(harts.sent, (Sent{{&waiting, CpuId{1}}}));
    EXPECT_EQ(waiting.state(), TaskState::Migrating);
    EXPECT_EQ(state.pushes, 1U);
    EXPECT_EQ(state.next_push, harts.time + kPushSpacing);
    Entity& another = add(0, make(Normal));
    harts.time = harts.time + kPushSpacing - 1_ns;
    EXPECT_FALSE(push()) << "too soon";
    EXPECT_EQ(state.next_push, harts.time + 1_ns);
    harts.time = harts.time + 1_ns;
    EXPECT_TRUE(push());
    EXPECT_EQ(harts.sent, (Sent{{&another, CpuId{1}}}));
    EXPECT_EQ(state.pushes, 2U);
}

TEST_F(Push, NothingFoundIsLookedForAgainSoon) {
    EXPECT_FALSE(push_with(busy(Normal, kWeight, global_now(0))));
    EXPECT_EQ(state.next_push, harts.time + kPullSpacing);
    EXPECT_EQ(state.pushes, 0U);
    EXPECT_TRUE(harts.sent.empty());
}

TEST_F(Push, FromTheThresholdOn) {
    const VirtualTime here = global_of(0, waiting);
    EXPECT_FALSE(push_with(busy(Normal, kWeight, here + span_of(kBalanceThreshold, kWeight))));
    EXPECT_TRUE(push_with(busy(Normal, kWeight, here + span_of(kBalanceThreshold + 1_us, kWeight))));
    EXPECT_EQ(harts.sent, (Sent{{&waiting, CpuId{1}}}));
}

TEST_F(Push, ToAHartThatRunsALowerClass) {
    EXPECT_FALSE(push_with(busy(Interactive, kWeight, {}))) << "it would wait there";
    EXPECT_TRUE(push_with(busy(Idle, kWeight, {})));
}

TEST_F(Push, OnlyWhereTheClocksCompare) {
    HartLoad other;
    other.epoch = 1;
    EXPECT_FALSE(push_with(other));
    other.epoch = 0;
    EXPECT_TRUE(push_with(other));
}

TEST_F(Push, NotToAHartThatOneTaskDeserves) {
    HartLoad other = busy(Normal, kWeight, global_of(0, waiting) + span_of(1_s, kWeight));
    other.whole_classes = 1U << kNormal;
    EXPECT_FALSE(push_with(other));
    other.whole_classes = 1U << kInteractive;
    EXPECT_TRUE(push_with(other));
}

TEST_F(Push, TheOneThatRunsWhereTheOthersMayNotGo) {
    Entity& pinned = add(0, make(Normal, 300, CpuMask::of(kSelf)));
    harts.queues[0].remove(waiting, harts.time);
    harts.publish(kSelf);
    ASSERT_EQ(pinned.state(), TaskState::Queued);
    const VirtualTime ahead = global_of(0, running) + span_of(1_s, kWeight);
    EXPECT_FALSE(push_with(busy(Normal, 3 * kWeight, ahead))) << "it is as crowded there";
    EXPECT_TRUE(push_with(busy(Normal, 3 * kWeight - 1, ahead)));
    EXPECT_EQ(harts.sent, (Sent{{&running, CpuId{1}}}));
    EXPECT_EQ(harts.queues[0].current(), nullptr);
}

TEST_F(Push, NobodyWhoMayRunNowhereElse) {
    Attributes pinned = make(Normal, 100, CpuMask::of(kSelf));
    EXPECT_FALSE(harts.queues[0].set_attributes(waiting, pinned, harts.time));
    EXPECT_FALSE(harts.queues[0].set_attributes(running, pinned, harts.time));
    harts.publish(kSelf);
    EXPECT_FALSE(push());
    EXPECT_EQ(sum(harts.locks), 0U) << "no reason to look into the queue";
}

TEST_F(Push, TheHighestClassFirst) {
    Entity& urgent = add(0, make(Interactive));
    EXPECT_TRUE(push());
    EXPECT_EQ(harts.sent, (Sent{{&urgent, CpuId{1}}}));
}

TEST_F(Push, TheOneThatIsFurthestBehindToTheForemost) {
    // The one that ran 3 ms waits for the other now.
    harts.time = at(3_ms);
    harts.queues[0].put_current(harts.time, PutReason::Preempted);
    Entity& fresh = waiting;
    ASSERT_EQ(harts.queues[0].pick_next(harts.time).entity, &fresh);
    Entity& third = add(0, make(Normal));
    harts.publish(kSelf);
    ASSERT_LT(global_of(0, third) - global_of(0, running), 0) << "it has had less";
    EXPECT_TRUE(push_with(busy(Normal, kWeight, global_of(0, running) + span_of(20_ms, kWeight))));
    EXPECT_EQ(harts.sent, (Sent{{&third, CpuId{1}}}));
}

class PushIdle : public BalanceRule {};

TEST_F(PushIdle, TheLowestClassIsSentToo) {
    add(0, make(Idle));
    Entity& waiting = add(0, make(Idle));
    EXPECT_TRUE(kernel::sched::push(harts, kSelf, state));
    EXPECT_EQ(harts.sent, (Sent{{&waiting, CpuId{1}}}));
}

class PushFromMany : public BalanceRule {
  protected:
    PushFromMany() : BalanceRule{20} {
        add(0, make(Normal));
        waiting = &add(0, make(Normal));
        for (std::uint32_t i = 1; i < 20; ++i) {
            harts.tell(CpuId{i}, busy(Normal, kWeight, global_now(0)));
        }
        harts.reads.assign(20, 0);
    }
    Entity* waiting{nullptr};
};

TEST_F(PushFromMany, SoManyAreLookedAt) {
    EXPECT_FALSE(kernel::sched::push(harts, kSelf, state));
    for (std::uint32_t i = 1; i < 20; ++i) {
        EXPECT_EQ(harts.reads[i], i <= kProbedHarts ? 1U : 0U) << i;
    }
}

TEST_F(PushFromMany, ThoseThatWereAheadFirst) {
    harts.balance.set_ahead(kNormal, CpuMask::from_bits(1U << 18U | 1U << 19U));
    harts.tell(CpuId{18}, busy(Normal, kWeight, global_now(0) + span_of(20_ms, kWeight)));
    harts.tell(CpuId{19}, busy(Normal, kWeight, global_now(0) + span_of(30_ms, kWeight)));
    EXPECT_TRUE(kernel::sched::push(harts, kSelf, state));
    EXPECT_EQ(harts.sent, (Sent{{waiting, CpuId{19}}}));
    EXPECT_EQ(sum(harts.reads) - harts.reads[0], kProbedHarts) << "no more in all";
}

TEST_F(PushFromMany, WhoWasAheadInAClassWithoutWorkHereDoesNotMatter) {
    harts.balance.set_ahead(kInteractive, CpuMask::of(CpuId{19}));
    EXPECT_FALSE(kernel::sched::push(harts, kSelf, state));
    EXPECT_EQ(harts.reads[19], 0U);
}

// --- pull_at_pick ---

class PullAtPick : public BalanceRule {
  protected:
    // On hart 1, of three that began together, one had 3 ms, one 1 ms, and the third runs.
    PullAtPick() : BalanceRule{3} {
        RunQueue& queue = harts.queues[1];
        for (Entity** entity : {&served, &behind, &running}) {
            *entity = &add(1, make(Normal));
        }
        harts.time = at(3_ms);
        queue.pick_next(harts.time);
        harts.time = at(4_ms);
        queue.put_current(harts.time, PutReason::Yield);
        queue.pick_next(harts.time);
        harts.publish(CpuId{1});
        mine = busy(Normal, kWeight, {});
        harts.tell(kSelf, mine);
        told = harts.loads[1];
    }
    void SetUp() override {
        ASSERT_EQ(harts.queues[1].current(), running);
        ASSERT_EQ(global_of(1, *served) - global_of(1, *behind), span_of(2_ms, kWeight));
    }
    // When all stand before `level`, as hart 1 tells it.
    bool pull(VirtualTime level, Duration told_behind = 1_s) {
        told.global[kNormal] = level;
        told.least[kNormal] = level - span_of(told_behind, kWeight);
        told.at = harts.time;
        harts.tell(CpuId{1}, told);
        return kernel::sched::pull_at_pick(harts, kSelf, state, kNormal, level);
    }
    Entity* served{nullptr};
    Entity* behind{nullptr};
    Entity* running{nullptr};
    HartLoad mine;
    HartLoad told;
};

TEST_F(PullAtPick, WhoIsFurthestBehindFromTheThresholdOn) {
    const VirtualTime least = global_of(1, *behind);
    EXPECT_FALSE(pull(least + span_of(kBalanceThreshold, kWeight)));
    EXPECT_EQ(harts.locks[1], 1U);
    EXPECT_EQ(state.pulls_at_pick, 0U);
    EXPECT_EQ(state.next_pull, harts.time + kPullSpacing);
    EXPECT_FALSE(pull(least + span_of(1_s, kWeight))) << "too soon";
    harts.time = harts.time + kPullSpacing - 1_ns;
    EXPECT_FALSE(pull(least + span_of(1_s, kWeight)));
    harts.time = harts.time + 1_ns;
    EXPECT_TRUE(pull(least + span_of(kBalanceThreshold + 3_ms, kWeight)));
    EXPECT_EQ(harts.sent, (Sent{{behind, kSelf}}));
    EXPECT_EQ(state.pulls_at_pick, 1U);
    EXPECT_EQ(state.next_pull, harts.time + kPullSpacing);
}

TEST_F(PullAtPick, NoQueueIsLockedForNothing) {
    const VirtualTime far = global_of(1, *behind) + span_of(1_s, kWeight);
    EXPECT_FALSE(pull(far, kBalanceThreshold)) << "it tells that nobody there is behind";
    state.next_pull = Instant{};
    told.epoch = 1;
    EXPECT_FALSE(pull(far)) << "the clocks do not compare";
    state.next_pull = Instant{};
    told.epoch = 0;
    const CpuMask all = std::exchange(told.waiting_mask[kNormal], CpuMask::from_bits(0b110));
    EXPECT_FALSE(pull(far)) << "who waits there may not run here";
    state.next_pull = Instant{};
    told.waiting_mask[kNormal] = all;
    mine.whole_classes = 1U << kNormal;
    harts.tell(kSelf, mine);
    EXPECT_FALSE(pull(far)) << "this hart is one task's";
    EXPECT_EQ(sum(harts.locks), 0U);
    mine.whole_classes = 1U << kInteractive;
    harts.tell(kSelf, mine);
    EXPECT_TRUE(pull(far));
}

TEST_F(PullAtPick, TheLesserOfBothLevelsCounts) {
    const VirtualTime least = global_of(1, *behind);
    const VirtualTime far = least + span_of(1_s, kWeight);
    told.global[kNormal] = far;
    told.least[kNormal] = far - span_of(1_s, kWeight);
    told.at = harts.time;
    harts.tell(CpuId{1}, told);
    // The one that is about to run here is no further than those there.
    EXPECT_FALSE(kernel::sched::pull_at_pick(harts, kSelf, state, kNormal, least));
}

// --- class_pull and answer_call ---

class ClassPull : public BalanceRule {
  protected:
    ClassPull() : BalanceRule{12} { harts.tell(kSelf, busy(Idle, kWeight, {})); }
};

TEST_F(ClassPull, TheHighestThatWaits) {
    add(1, make(Interactive));
    Entity& interactive = add(1, make(Interactive));
    Entity& normal = add(1, make(Normal));
    EXPECT_TRUE(kernel::sched::class_pull(harts, kSelf, state, kIdleClass));
    EXPECT_EQ(harts.sent, (Sent{{&interactive, kSelf}}));
    EXPECT_EQ(state.class_pulls, 1U);
    EXPECT_TRUE(kernel::sched::class_pull(harts, kSelf, state, kIdleClass));
    EXPECT_EQ(harts.sent.back(), (Sent::value_type{&normal, kSelf}));
    EXPECT_EQ(state.class_pulls, 2U);
    EXPECT_FALSE(kernel::sched::class_pull(harts, kSelf, state, kIdleClass));
    EXPECT_EQ(state.class_pulls, 2U);
}

TEST_F(ClassPull, NothingOfItsOwnClassOrALowerOne) {
    add(1, make(Normal));
    add(1, make(Normal));
    EXPECT_FALSE(kernel::sched::class_pull(harts, kSelf, state, kNormal));
    EXPECT_FALSE(kernel::sched::class_pull(harts, kSelf, state, kInteractive));
    EXPECT_EQ(sum(harts.locks), 0U);
    EXPECT_TRUE(kernel::sched::class_pull(harts, kSelf, state, kIdleClass));
}

TEST_F(ClassPull, NotBesideWorkOfThatClassOfItsOwn) {
    add(1, make(Normal));
    add(1, make(Normal));
    HartLoad mine = busy(Idle, kWeight, {});
    mine.weight[kNormal] = kWeight;
    harts.tell(kSelf, mine);
    EXPECT_FALSE(kernel::sched::class_pull(harts, kSelf, state, kIdleClass));
    EXPECT_EQ(sum(harts.locks), 0U);
}

// Who waits may be gone when the queue is looked at: no hart looks for ever.
TEST_F(ClassPull, SoManyQueuesAreLocked) {
    HartLoad stale = busy(Normal, kWeight, {});
    stale.waiting_mask[kNormal] = CpuMask::all();
    for (std::uint32_t i = 1; i < 12; ++i) {
        harts.tell(CpuId{i}, stale);
    }
    EXPECT_FALSE(kernel::sched::class_pull(harts, kSelf, state, kIdleClass));
    EXPECT_EQ(sum(harts.locks), kProbedVictims);
    EXPECT_TRUE(harts.sent.empty());
    harts.locks.assign(12, 0);
    EXPECT_FALSE(kernel::sched::idle_pull(harts, kSelf, state));
    EXPECT_EQ(sum(harts.locks), 3U) << "of those that have not been looked at yet";
    EXPECT_EQ(state.idle_pulls, 0U);
}

TEST_F(ClassPull, AHartThatIsCalledLooksIfItRunsSomething) {
    add(1, make(Interactive));
    Entity& waiting = add(1, make(Interactive));
    harts.tell(kSelf, HartLoad{});
    EXPECT_FALSE(kernel::sched::answer_call(harts, kSelf, state));
    harts.tell(kSelf, busy(Normal, kWeight, {}));
    EXPECT_TRUE(kernel::sched::answer_call(harts, kSelf, state));
    EXPECT_EQ(harts.sent, (Sent{{&waiting, kSelf}}));
}

TEST_F(ClassPull, AnIdleHartTakesTheHighest) {
    add(1, make(Normal));
    add(1, make(Normal));
    add(2, make(Interactive));
    Entity& urgent = add(2, make(Interactive));
    EXPECT_TRUE(kernel::sched::idle_pull(harts, kSelf, state));
    EXPECT_EQ(harts.sent, (Sent{{&urgent, kSelf}}));
    EXPECT_EQ(state.idle_pulls, 1U);
}

}  // namespace
}  // namespace sched_test
