// SPDX-License-Identifier: MIT
// Each verdict is shown a right kernel, a broken one, and a machine that cannot be judged.
#include <gtest/gtest.h>

#include <array>

#include "judge.hpp"

namespace {

using selftest::Outcome;
using selftest::Window;

constexpr double kUnitNs = 10'000;
constexpr std::uint64_t kMs = 1'000'000;

// A window in which each worker did as much as its charge pays for, at `speed` of the calibrated one.
Window honest(std::uint64_t elapsed_ms, std::vector<double> charged_ms, double speed = 1.0) {
    Window window{elapsed_ms * kMs, kUnitNs, {}};
    for (const double ms : charged_ms) {
        window.workers.push_back(
            {static_cast<std::uint64_t>(ms * 1e6 * speed / kUnitNs), static_cast<std::uint64_t>(ms * 1e6)});
    }
    return window;
}

TEST(Swap, RightKernelPasses) {
    const auto verdict = selftest::judge_swap(honest(400, {100, 300}), honest(300, {225, 75}));
    EXPECT_EQ(verdict.outcome, Outcome::Pass) << verdict.text;
    EXPECT_NE(verdict.text.find("100:300 work 3.000 charged 3.000"), std::string::npos) << verdict.text;
}

TEST(Swap, KernelThatIgnoresSharesFails) {
    EXPECT_EQ(selftest::judge_swap(honest(400, {200, 200}), honest(300, {150, 150})).outcome, Outcome::Fail);
}

TEST(Swap, KernelThatIgnoresTheLiveChangeFails) {
    EXPECT_EQ(selftest::judge_swap(honest(400, {100, 300}), honest(300, {75, 225})).outcome, Outcome::Fail);
}

TEST(Swap, EdgesOfTheBand) {
    const Window after = honest(300, {225, 75});
    EXPECT_EQ(selftest::judge_swap(honest(400, {107.5, 292.5}), after).outcome, Outcome::Pass);  // 2.72
    EXPECT_EQ(selftest::judge_swap(honest(400, {109, 291}), after).outcome, Outcome::Fail);      // 2.67
    EXPECT_EQ(selftest::judge_swap(honest(400, {92, 308}), after).outcome, Outcome::Fail);       // 3.35
}

TEST(Swap, ChargesThatContradictTheWorkDoNotPass) {
    // Charged 1:3, but both did the same work.
    Window cooked = honest(400, {100, 300});
    cooked.workers[0].work_units = 20'000;
    cooked.workers[1].work_units = 20'000;
    EXPECT_NE(selftest::judge_swap(cooked, honest(300, {225, 75})).outcome, Outcome::Pass);
}

TEST(Accounts, DisagreementBeyondTenPercentFails) {
    Window window = honest(100, {50, 50});
    window.workers[0].work_units = window.workers[0].work_units * 92 / 100;
    window.workers[1].work_units = window.workers[1].work_units * 108 / 100;
    EXPECT_FALSE(selftest::check_accounts(window).has_value());
    // Three workers, one of which did a fifth less than its charge pays for while the others stay near the
    // mean.
    Window skewed = honest(300, {20, 140, 140});
    skewed.workers[0].work_units = skewed.workers[0].work_units * 91 / 100;
    skewed.workers[1].work_units = skewed.workers[1].work_units * 109 / 100;
    skewed.workers[2].work_units = skewed.workers[2].work_units * 109 / 100;
    const auto problem = selftest::check_accounts(skewed);
    ASSERT_TRUE(problem.has_value());
    EXPECT_EQ(problem->outcome, Outcome::Fail) << problem->text;
}

TEST(Accounts, MoreChargedThanElapsedFails) {
    const auto problem = selftest::check_accounts(honest(100, {60, 60}));
    ASSERT_TRUE(problem.has_value());
    EXPECT_EQ(problem->outcome, Outcome::Fail);
}

TEST(Accounts, NoWorkFails) {
    const auto problem = selftest::check_accounts(honest(100, {0, 0}));
    ASSERT_TRUE(problem.has_value());
    EXPECT_EQ(problem->outcome, Outcome::Fail);
}

TEST(Accounts, CpuUsedByOthersIsNotJudged) {
    const auto problem = selftest::check_accounts(honest(100, {20, 50}));
    ASSERT_TRUE(problem.has_value());
    EXPECT_EQ(problem->outcome, Outcome::Skip);
}

TEST(Accounts, HostThatStealsTimeIsNotJudged) {
    const auto problem = selftest::check_accounts(honest(100, {25, 75}, 0.7));
    ASSERT_TRUE(problem.has_value());
    EXPECT_EQ(problem->outcome, Outcome::Skip);
    EXPECT_FALSE(selftest::check_accounts(honest(100, {25, 75}, 0.95)).has_value());
}

TEST(Split, WithinToleranceAndInOrder) {
    const std::array<double, 3> expected{0.0625, 0.3125, 0.625};
    EXPECT_EQ(selftest::judge_split(honest(160, {10, 50, 100}), expected, 0.15).outcome, Outcome::Pass);
    EXPECT_EQ(selftest::judge_split(honest(160, {11.4, 49.6, 99}), expected, 0.15).outcome, Outcome::Pass);
    EXPECT_EQ(selftest::judge_split(honest(160, {12, 49, 99}), expected, 0.15).outcome, Outcome::Fail);
    // Slices by steps of 100 shares: all equal.
    EXPECT_EQ(selftest::judge_split(honest(150, {50, 50, 50}), expected, 0.15).outcome, Outcome::Fail);
    // A worker is missing.
    EXPECT_EQ(selftest::judge_split(honest(110, {10, 100}), expected, 0.15).outcome, Outcome::Fail);
}

TEST(Neutral, EqualSharesAndFewerSwitches) {
    EXPECT_EQ(selftest::judge_neutral(honest(900, {300, 297, 303}), {100, 30}).outcome, Outcome::Pass);
    EXPECT_EQ(selftest::judge_neutral(honest(900, {300, 297, 303}), {100, 100}).outcome, Outcome::Fail);
    EXPECT_EQ(selftest::judge_neutral(honest(900, {300, 320, 280}), {100, 30}).outcome, Outcome::Fail);
}

TEST(LongestWait, IsTheDocumentedFormula) {
    using nexus_abi::QosClass;
    constexpr std::uint32_t kAll = 0b1111;
    EXPECT_EQ(selftest::longest_wait_ns(QosClass::Idle, kAll), 229 * kMs);
    EXPECT_EQ(selftest::longest_wait_ns(QosClass::Normal, kAll), 45'125'000U);
    EXPECT_EQ(selftest::longest_wait_ns(QosClass::Idle, 0b0111), 90 * kMs);
    EXPECT_EQ(selftest::longest_wait_ns(QosClass::Normal, 0b0111), 18'125'000U);
}

TEST(Starvation, FloorsAndWaits) {
    const Window right = honest(700, {138.2, 138.2, 138.2, 138.2, 138.6, 8.6});
    EXPECT_EQ(selftest::judge_starvation(right, {10 * kMs, 82 * kMs}).outcome, Outcome::Pass);
    EXPECT_EQ(selftest::judge_starvation(right, {73 * kMs, 82 * kMs}).outcome, Outcome::Fail);
    EXPECT_EQ(selftest::judge_starvation(right, {10 * kMs, 361 * kMs}).outcome, Outcome::Fail);
    // Strict priority: the lower classes get nothing.
    EXPECT_EQ(selftest::judge_starvation(honest(700, {175, 175, 175, 175, 0, 0}), {0, 0}).outcome,
              Outcome::Fail);
    // No classes: everybody a sixth. Normal's sixth lies in its band, Idle's gives it away.
    EXPECT_EQ(selftest::judge_starvation(honest(600, {100, 100, 100, 100, 100, 100}), {0, 0}).outcome,
              Outcome::Fail);
}

}  // namespace
