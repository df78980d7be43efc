// SPDX-License-Identifier: MIT
// The explorer itself: it finds what it should, counts what it should, and repeats what it found.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "steps.hpp"

namespace explore {
namespace {

TEST(Explorer, FindsALostUpdate) {
    static int value;
    const Steps program{.harts = 2,
                        .body =
                            [](std::uint32_t) {
                                choice();
                                const int read = value;
                                choice();
                                value = read + 1;
                            },
                        .at_end =
                            [] {
                                if (value != 2) {
                                    fail("lost");
                                }
                                value = 0;
                            }};
    EXPECT_EQ(program.run({.deviations = 0}).violation, "");
    EXPECT_EQ(program.run({.deviations = 1}).violation, "lost");
    const Outcome sampled = program.run({.deviations = 0, .samples = 1000, .seed = 7});
    EXPECT_NE(sampled.violation.find("lost (seed "), std::string::npos);
}

// Two harts of n steps each, no waiting: with any number of preemptions every merge of the two is tried once.
TEST(Explorer, TriesEveryOrderOnce) {
    const Steps program{.harts = 2,
                        .body =
                            [](std::uint32_t) {
                                choice();
                                choice();
                            },
                        .at_end = [] {}};
    // Three pieces each: 6! / (3! 3!) merges.
    const Outcome outcome = program.run({.deviations = 10});
    EXPECT_EQ(outcome.executions, 20U);
    EXPECT_TRUE(outcome.complete);
    EXPECT_EQ(program.run({.deviations = 0}).executions, 2U) << "who begins is free";
    EXPECT_FALSE(program.run({.deviations = 10, .executions = 5}).complete);
}

TEST(Explorer, SpinningWaitsForTheOthers) {
    static std::array<bool, 2> arrived;
    const Steps program{.harts = 2,
                        .body =
                            [](std::uint32_t hart) {
                                choice();
                                arrived[hart] = true;
                                while (!arrived[1 - hart]) {
                                    spin();
                                }
                            },
                        .at_end = [] { arrived = {}; }};
    const Outcome outcome = program.run({.deviations = 3});
    EXPECT_EQ(outcome.violation, "");
    EXPECT_TRUE(outcome.complete);
}

TEST(Explorer, ALivelockIsAViolation) {
    const Steps program{.harts = 1,
                        .body =
                            [](std::uint32_t) {
                                while (true) {
                                    choice();
                                }
                            },
                        .at_end = [] {}};
    EXPECT_NE(program.run({.steps = 100}).violation.find("livelock"), std::string::npos);
}

}  // namespace
}  // namespace explore
