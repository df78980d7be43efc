// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "judge.hpp"

namespace {

using selftest::AffinityFigures;
using selftest::IdleFigures;
using selftest::Outcome;
using selftest::PeriodicFigures;
using selftest::StealFigures;
using selftest::TicklessFigures;

constexpr std::uint64_t kMs = 1'000'000;

TEST(Median, IsTheLowerMiddle) {
    EXPECT_EQ(selftest::median({5}), 5U);
    EXPECT_EQ(selftest::median({9, 1, 5}), 5U);
    EXPECT_EQ(selftest::median({4, 3, 2, 1}), 2U);
}

TEST(Steady, NineOfTenWithinATickOfTheFastest) {
    constexpr std::uint64_t kTimebase = 10'000'000;  // QEMU virt: ticks of 100 ns
    std::vector<std::uint64_t> times(100, 10'100);
    EXPECT_TRUE(selftest::is_steady(times, kTimebase));
    std::fill_n(times.begin(), 10, 15'000);
    times[50] = 10'200;
    EXPECT_TRUE(selftest::is_steady(times, kTimebase));
    times[51] = 10'400;
    EXPECT_FALSE(selftest::is_steady(times, kTimebase));
    EXPECT_FALSE(selftest::is_steady({}, kTimebase));
    // One unit in a hundred was interrupted for a millisecond: half of the time is gone.
    std::vector<std::uint64_t> stolen(100, 10'100);
    stolen[7] = 1'000'000;
    EXPECT_FALSE(selftest::is_steady(stolen, kTimebase));
}

TEST(Latency, InteractiveMustBeFourTimesAsPrompt) {
    const PeriodicFigures prompt{5'000, 40'000, 0, 40};
    EXPECT_EQ(selftest::judge_latency(prompt, {2 * kMs, 9 * kMs, 18, 30}).outcome, Outcome::Pass);
    EXPECT_EQ(selftest::judge_latency(prompt, {15'000, 9 * kMs, 18, 30}).outcome, Outcome::Fail);
    // As prompt, but switched out as often: the class changed nothing.
    EXPECT_EQ(selftest::judge_latency({5'000, 40'000, 18, 40}, {2 * kMs, 9 * kMs, 18, 30}).outcome,
              Outcome::Fail);
    // Hardly woke: nothing was seen.
    EXPECT_EQ(selftest::judge_latency({5'000, 40'000, 0, 2}, {2 * kMs, 9 * kMs, 18, 30}).outcome,
              Outcome::Fail);
}

TEST(Affinity, OneNanosecondOutsideFails) {
    const AffinityFigures clean{1000, 20'000, 0, 0, 0, 0};
    EXPECT_EQ(selftest::judge_affinity(clean).outcome, Outcome::Pass);
    for (auto field : {&AffinityFigures::samples_outside, &AffinityFigures::forbidden_ns,
                       &AffinityFigures::wrong_effective, &AffinityFigures::self_outside}) {
        AffinityFigures broken = clean;
        broken.*field = 1;
        EXPECT_EQ(selftest::judge_affinity(broken).outcome, Outcome::Fail);
    }
}

TEST(Affinity, TooFewChangesOrLooksAreNotJudgedButFailuresStillCount) {
    EXPECT_EQ(selftest::judge_affinity({19, 20'000, 0, 0, 0, 0}).outcome, Outcome::Skip);
    EXPECT_EQ(selftest::judge_affinity({1000, 999, 0, 0, 0, 0}).outcome, Outcome::Skip);
    EXPECT_EQ(selftest::judge_affinity({2, 1, 0, 5, 0, 0}).outcome, Outcome::Fail);
}

TEST(Steal, PinnedStaysAndWidenedSpreads) {
    const StealFigures right{8, 0, 0, 100 * kMs, {100 * kMs, 99 * kMs, 98 * kMs, 98 * kMs}};
    EXPECT_EQ(selftest::judge_steal(right, 50 * kMs).outcome, Outcome::Pass);
    StealFigures stolen = right;
    stolen.forbidden_ns = 1;
    EXPECT_EQ(selftest::judge_steal(stolen, 50 * kMs).outcome, Outcome::Fail);
    StealFigures migrated = right;
    migrated.migrations = 1;
    EXPECT_EQ(selftest::judge_steal(migrated, 50 * kMs).outcome, Outcome::Fail);
    // A kernel that never steals passes the first half and must fail the second.
    StealFigures lazy = right;
    lazy.spread_ns[2] = 0;
    EXPECT_EQ(selftest::judge_steal(lazy, 50 * kMs).outcome, Outcome::Fail);
    StealFigures nothing_ran = right;
    nothing_ran.allowed_ns = 0;
    EXPECT_EQ(selftest::judge_steal(nothing_ran, 50 * kMs).outcome, Outcome::Fail);
}

TEST(Conserving, TwoPercentIdleIsTheLimit) {
    const std::array<IdleFigures, 2> right{
        {{"hogs", {0, 2 * kMs}, 100 * kMs}, {"churn", {kMs, 0}, 100 * kMs}}};
    EXPECT_EQ(selftest::judge_conserving(right).outcome, Outcome::Pass);
    std::array<IdleFigures, 2> wasted = right;
    wasted[1].idle_ns[0] = 3 * kMs;
    EXPECT_EQ(selftest::judge_conserving(wasted).outcome, Outcome::Fail);
    const std::array<IdleFigures, 1> nothing{{{"hogs", {}, 100 * kMs}}};
    EXPECT_EQ(selftest::judge_conserving(nothing).outcome, Outcome::Fail);
}

TEST(Tickless, OneStrayInterruptIsAllowedATickIsNot) {
    const TicklessFigures right{0, 0, 0, 200 * kMs, 200 * kMs};
    EXPECT_EQ(selftest::judge_tickless(right).outcome, Outcome::Pass);
    EXPECT_EQ(selftest::judge_tickless({1, 0, 0, 200 * kMs, 200 * kMs}).outcome, Outcome::Pass);
    EXPECT_EQ(selftest::judge_tickless({50, 0, 0, 200 * kMs, 200 * kMs}).outcome, Outcome::Fail);
    EXPECT_EQ(selftest::judge_tickless({0, 1, 0, 200 * kMs, 200 * kMs}).outcome, Outcome::Fail);
    EXPECT_EQ(selftest::judge_tickless({0, 0, 0, 200 * kMs, 100 * kMs}).outcome, Outcome::Fail)
        << "the hog did not run";
    EXPECT_EQ(selftest::judge_tickless({4, 0, 4, 200 * kMs, 200 * kMs}).outcome, Outcome::Skip)
        << "not alone";
}

}  // namespace
