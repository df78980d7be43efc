// SPDX-License-Identifier: MIT
// The rules of balance.hpp that move the clocks of harts, and when balance() does which.
#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "balance_rule.hpp"

namespace sched_test {
namespace {

using kernel::sched::kBalanceThreshold;
using kernel::sched::kCompressSpacing;
using kernel::sched::kFrameSpacing;
using kernel::sched::kRateSpacing;
using kernel::sched::balance_detail::Level;

// --- compress ---

constexpr VirtualSpan kWidest = span_of(kBalanceThreshold * 4, kWeight);

Level working(std::uint32_t hart, VirtualSpan place) {
    return {.cpu = CpuId{hart}, .global = VirtualTime{} + place, .has_work = true};
}
Level without_work(std::uint32_t hart, VirtualSpan place) {
    return {.cpu = CpuId{hart}, .global = VirtualTime{} + place};
}

// {hart: shift}, and whether one is needed.
std::pair<std::vector<VirtualSpan>, bool> shifts_of(std::vector<Level> levels) {
    std::vector<VirtualSpan> shifts(levels.size());
    const bool is_needed = kernel::sched::balance_detail::compute_shifts(levels, kWeight);
    for (const Level& level : levels) {
        shifts[level.cpu.value()] = level.shift;
    }
    return {shifts, is_needed};
}
using Shifts = std::vector<VirtualSpan>;

TEST(ComputeShifts, LeadsThatAFairMachineMayHaveStay) {
    EXPECT_EQ(shifts_of({working(0, 0), working(1, kWidest)}), std::pair(Shifts({0, 0}), false));
    EXPECT_EQ(shifts_of({working(0, kWidest), working(1, 0), working(2, 2 * kWidest)}),
              std::pair(Shifts({0, 0, 0}), false));
}

TEST(ComputeShifts, LongerOnesAreCutAndThoseAheadFollow) {
    EXPECT_EQ(shifts_of({working(0, 0), working(1, kWidest + 5)}), std::pair(Shifts({0, -5}), true));
    EXPECT_EQ(shifts_of({working(0, 3 * kWidest), working(1, 0), working(2, kWidest)}),
              std::pair(Shifts({-kWidest, 0, 0}), true));
    EXPECT_EQ(shifts_of({working(0, 2 * kWidest), working(1, 4 * kWidest), working(2, 0)}),
              std::pair(Shifts({-kWidest, -2 * kWidest, 0}), true));
}

TEST(ComputeShifts, WhoHasNoWorkStaysBetweenThoseWhoHave) {
    // Beside the one below it, and no more than a gap ahead of it.
    EXPECT_EQ(shifts_of({working(0, 0), without_work(1, kWidest)}), std::pair(Shifts({0, 0}), false));
    EXPECT_EQ(shifts_of({working(0, 0), without_work(1, kWidest + 7)}), std::pair(Shifts({0, -7}), true));
    EXPECT_EQ(shifts_of({working(0, 0), working(1, 2 * kWidest), without_work(2, 2 * kWidest + 3)}),
              std::pair(Shifts({0, -kWidest, -kWidest}), true));
    // Behind all that have: it stays, until it is so far behind that it comes near the wrap.
    EXPECT_EQ(shifts_of({working(0, 0), without_work(1, -100 * kWidest)}), std::pair(Shifts({0, 0}), false));
    constexpr VirtualSpan kFar = VirtualSpan{1} << 50U;
    EXPECT_EQ(shifts_of({working(0, 0), without_work(1, -kFar)}), std::pair(Shifts({0, 0}), false));
    EXPECT_EQ(shifts_of({working(0, 0), without_work(1, -kFar - 1)}),
              std::pair(Shifts({0, kFar / 2 + 1}), true));
    EXPECT_EQ(shifts_of({without_work(0, 0), without_work(1, 100 * kWidest)}),
              std::pair(Shifts({0, 0}), false))
        << "nobody has work";
}

TEST(UpperHalf, OfThoseThatHaveWorkAndAreOpen) {
    using kernel::sched::balance_detail::upper_half;
    std::vector<Level> levels{working(3, 0), working(1, 1), without_work(4, 2), working(0, 3), working(2, 4)};
    EXPECT_EQ(upper_half(levels), CpuMask::from_bits(0b101));
    levels.back().is_closed = true;
    EXPECT_EQ(upper_half(levels), CpuMask::from_bits(0b011)) << "of three the upper two";
    EXPECT_EQ(upper_half({}), CpuMask{});
}

class Compress : public BalanceRule {
  protected:
    Compress() : BalanceRule{3} {
        for (std::uint32_t i = 0; i < 3; ++i) {
            add(i, make(Normal));
        }
    }
    // All of one epoch, which the machine gave.
    void begin() {
        const std::uint32_t epoch = harts.balance.next_epoch();
        for (std::uint32_t i = 0; i < 3; ++i) {
            harts.with_queue(CpuId{i}, [&](RunQueue& queue) {
                queue.shift_frames({0, VirtualSpan{i} * i * kWidest, 0, 0}, epoch);
                return true;
            });
        }
    }
};

TEST_F(Compress, BringsTheHartsTogether) {
    begin();  // 0, 1 and 4 gaps
    const VirtualTime before = global_now(0);
    EXPECT_TRUE(kernel::sched::compress(harts, state));
    EXPECT_EQ(state.compressions, 1U);
    EXPECT_EQ(global_now(0) - before, 0);
    EXPECT_EQ(global_now(1) - before, kWidest);
    EXPECT_EQ(global_now(2) - before, 2 * kWidest);
    for (const RunQueue& queue : harts.queues) {
        EXPECT_EQ(queue.epoch(), 2U) << "what was compared before compares no more";
    }
    EXPECT_EQ(harts.balance.ahead(kNormal), CpuMask::from_bits(0b110));
    EXPECT_FALSE(kernel::sched::compress(harts, state)) << "that is enough";
    EXPECT_EQ(state.compressions, 1U);
}

TEST_F(Compress, TheLightestTaskSaysHowFarIsFar) {
    harts.queues[2].enqueue(entities.emplace_back(), harts.time, EnqueueReason::New);
    RunQueue& queue = harts.queues[2];
    Attributes light = make(Normal, 25);
    EXPECT_FALSE(queue.set_attributes(entities.back(), light, harts.time));
    harts.publish(CpuId{2});
    begin();
    EXPECT_FALSE(kernel::sched::compress(harts, state)) << "3 gaps of the others are less than one of its";
}

class CompressIdle : public BalanceRule {};

TEST_F(CompressIdle, TheLowestClassIsBroughtTogetherToo) {
    add(0, make(Idle));
    add(1, make(Idle));
    const std::uint32_t epoch = harts.balance.next_epoch();
    for (std::uint32_t i = 0; i < 2; ++i) {
        harts.with_queue(CpuId{i}, [&](RunQueue& queue) {
            queue.shift_frames({VirtualSpan{i} * 3 * kWidest, 0, 0, 0}, epoch);
            return true;
        });
    }
    EXPECT_TRUE(kernel::sched::compress(harts, state));
    EXPECT_EQ(global_now(1, Idle) - global_now(0, Idle), kWidest);
}

TEST_F(Compress, HartsOfDifferentEpochsAreBroughtToOne) {
    harts.with_queue(CpuId{1}, [&](RunQueue& queue) {
        queue.shift_frames({}, harts.balance.next_epoch());
        return true;
    });
    EXPECT_TRUE(kernel::sched::compress(harts, state));
    for (const RunQueue& queue : harts.queues) {
        EXPECT_EQ(queue.epoch(), 2U);
    }
}

// --- balance ---

class BalanceAtPick : public Compress {
  protected:
    bool balance(std::uint32_t hart = 0) { return kernel::sched::balance(harts, CpuId{hart}, state); }
};

TEST_F(BalanceAtPick, AHartWithOneTaskHasNothingToDoWithIt) {
    begin();
    EXPECT_FALSE(balance());
    EXPECT_EQ(state.compressions, 0U);
    EXPECT_EQ(state.next_push, Instant{});
    harts.tell(kSelf, HartLoad{});
    EXPECT_FALSE(balance());
}

TEST_F(BalanceAtPick, CompressesNowAndThen) {
    add(0, make(Normal, 100, CpuMask::of(kSelf)));
    begin();
    harts.time = at(1_s);
    balance();
    EXPECT_EQ(state.compressions, 1U);
    begin();
    harts.time = harts.time + kCompressSpacing - 1_ns;
    balance();
    EXPECT_EQ(state.compressions, 1U);
    harts.time = harts.time + 1_ns;
    // With a new epoch on one hart there is something to do.
    harts.with_queue(CpuId{1}, [&](RunQueue& queue) {
        queue.shift_frames({}, harts.balance.next_epoch());
        return true;
    });
    balance();
    EXPECT_EQ(state.compressions, 2U);
}

TEST_F(BalanceAtPick, LooksAtRatesNowAndThen) {
    add(0, make(Normal, 100, CpuMask::of(kSelf)));
    harts.time = at(1_s);
    for (int i = 0; i < 1000 && (i == 0 || harts.balance.rates().is_solving); ++i) {
        balance();
    }
    ASSERT_FALSE(harts.balance.rates().is_solving);
    EXPECT_FALSE(harts.balance.try_begin_rates(harts.time + kRateSpacing - 1_ns));
    EXPECT_TRUE(harts.balance.try_begin_rates(harts.time + kRateSpacing));
    EXPECT_FALSE(harts.balance.try_begin_rates(harts.time + kRateSpacing)) << "one at a time";
    harts.balance.end_rates(harts.time);
    EXPECT_TRUE(harts.balance.try_begin_rates(harts.time));
}

// A crowd on one hart that it may not leave: whoever is free deserves another one, and everybody has a new
// pace.
TEST_F(BalanceAtPick, GivesEveryHartTheRatesAndLevelsThem) {
    for (int i = 0; i < 7; ++i) {
        add(0, make(Normal, 100, CpuMask::of(kSelf)));
    }
    begin();
    Entity& heavy = add(1, make(Normal, 1000));
    harts.time = at(1_ms);
    for (int i = 0; i < 1000 && state.rate_updates == 0; ++i) {
        if (harts.balance.try_begin_rates(harts.time)) {
            kernel::sched::update_rates(harts, state);
        }
        harts.time = harts.time + 1_ms;
    }
    ASSERT_EQ(state.rate_updates, 1U);
    const auto& table = harts.balance.rates().tables[kNormal];
    EXPECT_NE(table.generation, 0U);
    for (const RunQueue& queue : harts.queues) {
        EXPECT_EQ(queue.rates(kNormal).generation, table.generation);
        EXPECT_EQ(queue.queue(Normal).global_now() - harts.queues[0].queue(Normal).global_now(), 0)
            << "a lead of before means nothing now";
        EXPECT_EQ(queue.epoch(), harts.queues[0].epoch());
    }
    EXPECT_EQ(heavy.effective(), Normal);
}

TEST_F(BalanceAtPick, PullsWhoIsBehindElsewhere) {
    Entity& mine = *harts.queues[0].current();
    Entity& pinned = add(0, make(Normal, 100, CpuMask::of(kSelf)));
    Entity& behind = add(1, make(Normal));
    EXPECT_FALSE(harts.queues[0].set_attributes(mine, make(Normal, 100, CpuMask::of(kSelf)), harts.time));
    harts.publish(kSelf);
    static_cast<void>(pinned);
    // Both harts are far ahead of the one that waits on hart 1, and nothing is to be compressed or solved.
    const std::uint32_t epoch = harts.balance.next_epoch();
    const VirtualSpan far = span_of(20_ms, kWeight);
    for (std::uint32_t i = 0; i < 3; ++i) {
        harts.with_queue(CpuId{i}, [&](RunQueue& queue) {
            queue.shift_frames({0, i == 1 ? 0 : far, 0, 0}, epoch);
            return true;
        });
    }
    HartLoad told = harts.loads[1];
    told.global[kNormal] = global_now(0);
    told.least[kNormal] = global_of(1, behind);
    told.at = harts.time;
    harts.tell(CpuId{1}, told);
    ASSERT_TRUE(harts.balance.try_begin_rates(harts.time));
    state.next_push = at(1_s);
    EXPECT_TRUE(balance());
    EXPECT_EQ(harts.sent, (Sent{{&behind, kSelf}}));
    EXPECT_EQ(state.pulls_at_pick, 1U);
    EXPECT_FALSE(balance()) << "nobody is there any more";
}

// --- raise_frame_before ---

class RaiseFrame : public BalanceRule {
  protected:
    RaiseFrame() : BalanceRule{4} {
        entity.attributes = make(Normal);
        harts.time = at(1_s);
    }
    // Where the frame of hart 0 is put when the others are as told, from 0.
    VirtualSpan raised() {
        kernel::sched::raise_frame_before(harts, harts.queues[0], entity);
        return global_now(0) - VirtualTime{};
    }
    Entity entity;
};

TEST_F(RaiseFrame, ToTheLeastOfThoseThatHaveWork) {
    harts.tell(CpuId{1}, busy(Normal, kWeight, VirtualTime{} + 700));
    harts.tell(CpuId{2}, busy(Normal, kWeight, VirtualTime{} + 500));
    harts.tell(CpuId{3}, busy(Normal, kWeight, VirtualTime{} + 600));
    EXPECT_EQ(raised(), 500);
    harts.tell(CpuId{2}, busy(Normal, kWeight, VirtualTime{} + 900));
    harts.time = harts.time + kFrameSpacing - 1_ns;
    EXPECT_EQ(raised(), 500) << "it was compared just now";
    harts.time = harts.time + 1_ns;
    for (std::uint32_t i = 1; i < 4; ++i) {
        harts.loads[i].at = harts.time;
    }
    EXPECT_EQ(raised(), 600);
}

TEST_F(RaiseFrame, ToTheFurthestWhereNobodyHasWork) {
    for (std::uint32_t i = 1; i < 4; ++i) {
        HartLoad load;
        load.global[kNormal] = VirtualTime{} + VirtualSpan{i == 2 ? 900 : 400};
        harts.tell(CpuId{i}, load);
    }
    EXPECT_EQ(raised(), 900);
}

TEST_F(RaiseFrame, WorkCountsMoreThanFramesWithout) {
    HartLoad empty;
    empty.global[kNormal] = VirtualTime{} + 900;
    harts.tell(CpuId{1}, empty);
    harts.tell(CpuId{2}, busy(Normal, kWeight, VirtualTime{} + 300));
    harts.tell(CpuId{3}, empty);
    EXPECT_EQ(raised(), 300);
}

TEST_F(RaiseFrame, NotFromAnotherEpochAndNotUnderATask) {
    HartLoad other = busy(Normal, kWeight, VirtualTime{} + 700);
    other.epoch = 1;
    harts.tell(CpuId{1}, other);
    EXPECT_EQ(raised(), 0);
    harts.time = harts.time + kFrameSpacing;
    Entity& member = add(0, make(Normal));
    const VirtualTime before = global_now(0);
    other.epoch = 0;
    harts.tell(CpuId{1}, other);
    kernel::sched::raise_frame_before(harts, harts.queues[0], entity);
    EXPECT_EQ(global_now(0) - before, 0);
    EXPECT_EQ(member.state(), TaskState::Running);
}

class RaiseFrameOfMany : public BalanceRule {
  protected:
    RaiseFrameOfMany() : BalanceRule{20} {}
};

TEST_F(RaiseFrameOfMany, SoManyAreLookedAt) {
    harts.time = at(1_s);
    harts.reads.assign(20, 0);
    Entity entity;
    entity.attributes = make(Normal);
    kernel::sched::raise_frame_before(harts, harts.queues[0], entity);
    for (std::uint32_t i = 0; i < 20; ++i) {
        EXPECT_EQ(harts.reads[i], i >= 1 && i <= kernel::sched::kProbedHarts ? 1U : 0U) << i;
    }
}

}  // namespace
}  // namespace sched_test
