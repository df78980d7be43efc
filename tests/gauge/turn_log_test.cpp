// SPDX-License-Identifier: MIT
#include "turn_log.hpp"

#include <gtest/gtest.h>

#include <array>

namespace {

using user::Turn;
using user::TurnLog;
using user::Weighted;

constexpr std::uint64_t kMs = 1'000'000;

TEST(TurnLog, AShortGapIsAnInterruptAndALongOneAnothersTurn) {
    TurnLog log{8};
    for (const std::uint64_t now : {1000ULL, 1100ULL, 4100ULL, 4200ULL, 9000ULL, 9100ULL}) {
        log.note(now);
    }
    ASSERT_EQ(log.turns().size(), 2U);
    EXPECT_EQ(log.turns()[0].begin, 1000U);
    EXPECT_EQ(log.turns()[0].end, 4200U);
    EXPECT_EQ(log.turns()[1].begin, 9000U);
    EXPECT_EQ(log.turns()[1].end, 9100U);
}

TEST(TurnLog, SaysThatItIsFull) {
    TurnLog log{2};
    log.note(10'000);
    EXPECT_FALSE(log.full());
    log.note(20'000);
    EXPECT_TRUE(log.full());
}

TEST(TimeRun, IsCutToTheWindow) {
    const std::array turns{Turn{10, 20}, Turn{30, 40}, Turn{50, 60}};
    EXPECT_EQ(user::time_run(turns, 0, 100), 30U);
    EXPECT_EQ(user::time_run(turns, 15, 55), 20U);
    EXPECT_EQ(user::time_run(turns, 20, 30), 0U);
    EXPECT_EQ(user::time_run(turns, 32, 35), 3U);
    EXPECT_EQ(user::time_run({}, 0, 100), 0U);
}

TEST(LongestGap, CountsTheEndsOfTheWindow) {
    const std::array turns{Turn{10, 20}, Turn{35, 40}};
    EXPECT_EQ(user::longest_gap(turns, 0, 50), 15U);
    EXPECT_EQ(user::longest_gap(turns, 0, 100), 60U);
    EXPECT_EQ(user::longest_gap(turns, 12, 18), 0U);
    EXPECT_EQ(user::longest_gap({}, 0, 100), 100U);
}

TEST(AnyWindow, FindsTheDoublingAcrossAnEdge) {
    // 20 of every 100 ms, but the second of two runs begins its period: 40 ms within 60.
    const std::array cliff{Turn{80 * kMs, 100 * kMs}, Turn{100 * kMs, 120 * kMs}, Turn{280 * kMs, 300 * kMs}};
    EXPECT_EQ(user::most_in_any_window(cliff, 100 * kMs), 40 * kMs);
    const std::array right{Turn{80 * kMs, 100 * kMs}, Turn{180 * kMs, 200 * kMs}, Turn{280 * kMs, 300 * kMs}};
    EXPECT_EQ(user::most_in_any_window(right, 100 * kMs), 20 * kMs);
    EXPECT_EQ(user::most_in_any_window({}, 100 * kMs), 0U);
}

TEST(Lag, IsTheDistanceFromTheFluidPart) {
    // 1:1 in turns of 4 ms: after the first turn each is 2 ms away from its half.
    const std::array first{Turn{0, 4 * kMs}, Turn{8 * kMs, 12 * kMs}};
    const std::array second{Turn{4 * kMs, 8 * kMs}, Turn{12 * kMs, 16 * kMs}};
    const std::array even{Weighted{first, 1}, Weighted{second, 1}};
    EXPECT_NEAR(user::largest_lag(even, 0, 16 * kMs), 2.0 * kMs, 1);
    // The same as 3:1: at the end the first is 4 ms short of 12.
    const std::array uneven{Weighted{first, 3}, Weighted{second, 1}};
    EXPECT_NEAR(user::largest_lag(uneven, 0, 16 * kMs), 4.0 * kMs, 1);
}

TEST(Lag, SeesADebtThatIsPaidBackLater) {
    const std::array late{Turn{30 * kMs, 60 * kMs}};
    const std::array early{Turn{0, 30 * kMs}};
    const std::array tasks{Weighted{early, 1}, Weighted{late, 1}};
    EXPECT_NEAR(user::largest_lag(tasks, 0, 60 * kMs), 15.0 * kMs, 1);
}

}  // namespace
