// SPDX-License-Identifier: MIT
// The library decides exactly as the plain reference does: a million random operations, in many short lives
// on 1 to 4 harts with up to 40 tasks, and every observable value compared after each.
#include <gtest/gtest.h>

#include "tier.hpp"
#include "twin.hpp"

namespace sched_test {
namespace {

constexpr std::uint64_t kLife = 2'000;  // operations; short enough to be cut down in a moment

Shape shape_of(std::uint64_t seed) {
    // The clock starts anywhere up to a year in, so that virtual times are far from zero.
    constexpr std::int64_t kYear = 365LL * 24 * 3600 * 1'000'000'000;
    return Shape{.harts = static_cast<std::uint32_t>(1 + seed % 4),
                 .tasks = seed % 5 == 0 ? 40U : 3U + static_cast<std::uint32_t>(seed % 9),
                 .seed = seed,
                 .start_ns = static_cast<std::int64_t>(seed * 7919 % 1000) * (kYear / 1000)};
}

TEST(Differential, EveryDecisionIsTheReferences) {
    const std::uint64_t lives =
        Tiers<std::uint64_t>{.brief = 50'000, .quick = 1'000'000, .thorough = 100'000'000}.value() / kLife;
    const std::uint64_t first = first_seed();
    for (std::uint64_t seed = first; seed < first + lives; ++seed) {
        const Shape shape = shape_of(seed);
        const auto failure = find_difference(shape, kLife);
        ASSERT_FALSE(failure.has_value()) << script_of(shape, *failure);
    }
    RecordProperty("operations", std::to_string(lives * kLife));
}

// Lives in which one of the two once was wrong.
TEST(Differential, LivesThatOnceDiffered) {
    // Of a task that becomes PerfBurst by a change that comes with an instant before its last pick: how full
    // its bucket is.
    for (const std::uint64_t seed : {std::uint64_t{4674}}) {
        const Shape shape = shape_of(seed);
        const auto failure = find_difference(shape, kLife);
        EXPECT_FALSE(failure.has_value()) << script_of(shape, *failure);
    }
}

// The short ways beside the general ones (run_queue_plain.cpp): each of their cases is done both ways here,
// every other time, and beside the reference.
TEST(Differential, PlainStepsAreTheReferences) {
    const std::uint64_t lives =
        Tiers<std::uint64_t>{.brief = 100'000, .quick = 500'000, .thorough = 50'000'000}.value() / kLife;
    const std::uint64_t first = first_seed();
    Twin::PlainSteps steps;
    for (std::uint64_t seed = first; seed < first + lives; ++seed) {
        Shape shape = shape_of(seed);
        shape.harts = 1 + static_cast<std::uint32_t>(seed % 2);
        shape.is_usual = true;
        shape.is_ping_pong = seed / 2 % 2 != 0;
        shape.tasks = shape.is_ping_pong ? 2 + static_cast<std::uint32_t>(seed % 3) : shape.tasks;
        const auto failure = find_difference(shape, kLife, &steps);
        ASSERT_FALSE(failure.has_value()) << script_of(shape, *failure);
    }
    // It looked at what it is for: most operations make no sense when they come, one in some hundred is one
    // of these.
    EXPECT_GT(steps.wakes, lives * kLife / 400);
    EXPECT_GT(steps.switches, lives * kLife / 400);
    EXPECT_GT(steps.put_off, lives * kLife / 4'000);
    EXPECT_GT(steps.hand_overs, lives * kLife / 10'000);
    EXPECT_GT(steps.births, lives * kLife / 20'000);
    EXPECT_GT(steps.born, lives * kLife / 40'000);
    EXPECT_GT(steps.ends, lives * kLife / 40'000);
    EXPECT_GT(steps.at_once, lives * kLife / 20'000);
    EXPECT_GT(steps.among, lives * kLife / 40'000);
    EXPECT_GT(steps.refused, 0U);
    RecordProperty("wakes", std::to_string(steps.wakes));
    RecordProperty("put off", std::to_string(steps.put_off));
    RecordProperty("handed over", std::to_string(steps.hand_overs));
    RecordProperty("births put off", std::to_string(steps.births));
    RecordProperty("parents that waited", std::to_string(steps.born));
    RecordProperty("ends at once", std::to_string(steps.ends));
    RecordProperty("at once", std::to_string(steps.at_once));
    RecordProperty("yields among several", std::to_string(steps.among));
    RecordProperty("switches", std::to_string(steps.switches));
}

// The comparison sees what it is for, and cuts it down to a few lines.
void expect_found(kernel::sched::Faults faults, const char* what) {
    for (std::uint64_t seed = 1; seed < 20; ++seed) {
        Shape shape = shape_of(seed);
        shape.faults = faults;
        if (const auto failure = find_difference(shape, kLife)) {
            EXPECT_LE(failure->operations.size(), 12U) << what << "\n" << script_of(shape, *failure);
            return;
        }
    }
    FAIL() << what << " was not found";
}

TEST(Differential, FindsPlantedDefects) {
    expect_found({.ignore_shares = true}, "shares ignored");
    expect_found({.ignore_affinity = true}, "masks ignored");
    expect_found({.never_preempt = true}, "no preemption");
    expect_found({.strict_classes = true}, "strict classes");
    expect_found({.hints_buy_share = true}, "hints that buy share");
}

}  // namespace
}  // namespace sched_test
