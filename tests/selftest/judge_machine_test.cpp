// SPDX-License-Identifier: MIT
#include "judge_machine.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace {

using selftest::BoostFigures;
using selftest::BudgetFigures;
using selftest::MachineWindow;
using selftest::Outcome;
using selftest::StressFigures;
using selftest::Window;
using selftest::WorkerFigures;

constexpr std::uint64_t kMs = 1'000'000;
constexpr double kUnitNs = 10'000;

WorkerFigures worked(std::uint64_t milliseconds) {
    return {milliseconds * 100, milliseconds * kMs};
}

MachineWindow two_cpus(std::initializer_list<std::uint64_t> milliseconds) {
    MachineWindow measured{{600 * kMs, kUnitNs, {}}, 2};
    for (const std::uint64_t worker : milliseconds) {
        measured.window.workers.push_back(worked(worker));
    }
    return measured;
}

TEST(MachineShares, ThreeOnTwoAreEqualAndMove) {
    EXPECT_EQ(selftest::judge_machine(two_cpus({401, 399, 400}), {20}).outcome, Outcome::Pass);
    // Nobody moves: one has a CPU to itself.
    EXPECT_EQ(selftest::judge_machine(two_cpus({600, 300, 300}), {0}).outcome, Outcome::Fail);
    // Linux' figures.
    EXPECT_EQ(selftest::judge_machine(two_cpus({464, 368, 368}), {40}).outcome, Outcome::Fail);
    EXPECT_EQ(selftest::judge_machine(two_cpus({401, 399, 400}), {0}).outcome, Outcome::Fail);
}

TEST(MachineShares, ChargesWithoutWorkFail) {
    MachineWindow measured = two_cpus({400, 400, 400});
    measured.window.workers[2].work_units /= 4;
    EXPECT_EQ(selftest::judge_machine(measured, {20}).outcome, Outcome::Fail);
}

TEST(MachineShares, OthersOnTheCpusAreAReasonToSkip) {
    EXPECT_EQ(selftest::judge_machine(two_cpus({300, 300, 300}), {20}).outcome, Outcome::Skip);
    EXPECT_EQ(selftest::judge_machine(two_cpus({500, 500, 500}), {20}).outcome, Outcome::Fail);
}

TEST(PinnedShares, OneNanosecondBeyondTheMaskFails) {
    EXPECT_EQ(selftest::judge_pinned(two_cpus({400, 400, 400}), {0}).outcome, Outcome::Pass);
    EXPECT_EQ(selftest::judge_pinned(two_cpus({400, 400, 400}), {1}).outcome, Outcome::Fail);
    // The free one stays where it began.
    EXPECT_EQ(selftest::judge_pinned(two_cpus({600, 300, 300}), {0}).outcome, Outcome::Fail);
}

Window one_cpu(std::uint64_t first, std::uint64_t second) {
    return {(first + second) * kMs, kUnitNs, {worked(first), worked(second)}};
}

TEST(Boost, DoublesThePartAndEnds) {
    const BoostFigures figures{50 * kMs, 40 * kMs, 50 * kMs, 300 * kMs, true, false};
    EXPECT_EQ(selftest::judge_boost(one_cpu(40, 20), one_cpu(100, 100), figures).outcome, Outcome::Pass);
    // No boost at all.
    EXPECT_EQ(selftest::judge_boost(one_cpu(30, 30), one_cpu(100, 100), figures).outcome, Outcome::Fail);
    // It never ends.
    EXPECT_EQ(selftest::judge_boost(one_cpu(40, 20), one_cpu(130, 66), figures).outcome, Outcome::Fail);
    BoostFigures endless = figures;
    endless.boosted_second = true;
    EXPECT_EQ(selftest::judge_boost(one_cpu(40, 20), one_cpu(100, 100), endless).outcome, Outcome::Fail);
    BoostFigures too_long = figures;
    too_long.total_ns = 81 * kMs;
    EXPECT_EQ(selftest::judge_boost(one_cpu(40, 20), one_cpu(100, 100), too_long).outcome, Outcome::Fail);
    BoostFigures silent = figures;
    silent.boosted_ns = silent.total_ns = 0;
    EXPECT_EQ(selftest::judge_boost(one_cpu(40, 20), one_cpu(100, 100), silent).outcome, Outcome::Fail);
}

TEST(Budget, IsACeilingInEveryWindowAndIsUsed) {
    const BudgetFigures figures{20 * kMs, 100 * kMs, 20 * kMs + 20'000, 20'000, 6};
    EXPECT_EQ(selftest::judge_budget(one_cpu(120, 480), figures).outcome, Outcome::Pass);
    // Twice the budget across the edge of a period.
    BudgetFigures cliff = figures;
    cliff.most_in_window_ns = 40 * kMs;
    EXPECT_EQ(selftest::judge_budget(one_cpu(120, 480), cliff).outcome, Outcome::Fail);
    BudgetFigures over = figures;
    over.most_in_window_ns = 20 * kMs + 71'000;
    EXPECT_EQ(selftest::judge_budget(one_cpu(120, 480), over).outcome, Outcome::Fail);
    // No cap, and one that starves.
    EXPECT_EQ(selftest::judge_budget(one_cpu(300, 300), figures).outcome, Outcome::Fail);
    EXPECT_EQ(selftest::judge_budget(one_cpu(60, 540), figures).outcome, Outcome::Fail);
}

TEST(Inheritance, MustCutTheWaitToAThird) {
    using nexus_abi::QosClass;
    const auto judge = [](std::vector<std::uint64_t> with, std::vector<std::uint64_t> without) {
        return selftest::judge_inheritance(
            {std::move(with), std::move(without), QosClass::Interactive, QosClass::Idle});
    };
    EXPECT_EQ(judge({2 * kMs, 2 * kMs, 9 * kMs}, {34 * kMs, 40 * kMs, 6 * kMs}).outcome, Outcome::Pass);
    const selftest::Verdict slow = judge({2 * kMs, 2 * kMs, 2 * kMs}, {5 * kMs, 5 * kMs, 5 * kMs});
    EXPECT_EQ(slow.outcome, Outcome::Fail);
    EXPECT_FALSE(slow.exact);
    EXPECT_EQ(judge({2 * kMs, 2 * kMs}, {34 * kMs, 40 * kMs}).outcome, Outcome::Fail);
}

TEST(Inheritance, TheClassIsLentExactlyAsLongAsItIsWaitedFor) {
    using nexus_abi::QosClass;
    selftest::InheritanceFigures figures{{2 * kMs, 2 * kMs, 9 * kMs}, {34 * kMs, 40 * kMs, 6 * kMs}, {}, {}};
    const selftest::Verdict unseen = selftest::judge_inheritance(figures);
    EXPECT_EQ(unseen.outcome, Outcome::Fail);
    EXPECT_FALSE(unseen.exact);
    for (const auto& [wanted, after] : {std::pair{QosClass::Idle, QosClass::Idle},
                                        std::pair{QosClass::Interactive, QosClass::Interactive}}) {
        figures.class_wanted = wanted;
        figures.class_after = after;
        const selftest::Verdict wrong = selftest::judge_inheritance(figures);
        EXPECT_EQ(wrong.outcome, Outcome::Fail);
        EXPECT_TRUE(wrong.exact);
    }
}

TEST(Stress, NobodyIsLostAndTimeAddsUp) {
    const StressFigures right{1000,       20,         0,          0,          7999 * kMs, 8001 * kMs,
                              8000 * kMs, 1599 * kMs, 1601 * kMs, 1600 * kMs, true};
    EXPECT_EQ(selftest::judge_stress(right).outcome, Outcome::Pass);
    for (auto field : {&StressFigures::refused, &StressFigures::stuck}) {
        StressFigures wrong = right;
        wrong.*field = 1;
        EXPECT_EQ(selftest::judge_stress(wrong).outcome, Outcome::Fail);
    }
    StressFigures lost = right;
    lost.accounted_ns -= 10 * kMs;
    EXPECT_EQ(selftest::judge_stress(lost).outcome, Outcome::Fail);
    StressFigures invented = right;
    invented.charged_ns += 3 * kMs;
    EXPECT_EQ(selftest::judge_stress(invented).outcome, Outcome::Fail);
    StressFigures forgotten = right;
    forgotten.charged_ns -= 3 * kMs;
    EXPECT_EQ(selftest::judge_stress(forgotten).outcome, Outcome::Fail);
    StressFigures blurred = right;
    blurred.busy_least_ns -= 40 * kMs;
    EXPECT_EQ(selftest::judge_stress(blurred).outcome, Outcome::Skip);
    // On a busy host it cannot be clearer, and what it shows still counts.
    blurred.steady = false;
    EXPECT_EQ(selftest::judge_stress(blurred).outcome, Outcome::Pass);
    blurred.stuck = 1;
    EXPECT_EQ(selftest::judge_stress(blurred).outcome, Outcome::Fail);
    StressFigures quiet = right;
    quiet.changes = 3;
    EXPECT_EQ(selftest::judge_stress(quiet).outcome, Outcome::Skip);
}

}  // namespace
