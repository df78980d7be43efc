// SPDX-License-Identifier: MIT
// The explorer itself: it finds what it should, counts what it should, and repeats what it found.
#include "explorer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace explore {
namespace {

// Harts that run a few steps each and then wait for ever.
struct Steps {
    std::uint32_t harts;
    std::function<void(std::uint32_t)> body;
    std::function<void()> at_end;

    [[nodiscard]] Outcome run(const Bounds& bounds) const {
        return explore({.harts = harts,
                        .begin = [] {},
                        .hart =
                            [this](std::uint32_t hart) {
                                body(hart);
                                while (true) {
                                    wait();
                                }
                            },
                        .can_resume = [](std::uint32_t) { return false; },
                        .events = [] { return 0U; },
                        .happen = [](std::uint32_t) {},
                        .is_done = [] { return false; },
                        .end = at_end},
                       bounds);
    }
};

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
    EXPECT_EQ(program.run({.preemptions = 0}).violation, "");
    EXPECT_EQ(program.run({.preemptions = 1}).violation, "lost");
    const Outcome sampled = program.run({.preemptions = 0, .samples = 1000, .seed = 7});
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
    const Outcome outcome = program.run({.preemptions = 10});
    EXPECT_EQ(outcome.executions, 20U);
    EXPECT_TRUE(outcome.complete);
    EXPECT_EQ(program.run({.preemptions = 0}).executions, 2U) << "who begins is free";
    EXPECT_FALSE(program.run({.preemptions = 10, .executions = 5}).complete);
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
    const Outcome outcome = program.run({.preemptions = 3});
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
