// SPDX-License-Identifier: MIT
// Every state of two harts, three tasks, two classes and the masks {1, 2, 3} that a dozen steps can reach.
#include <gtest/gtest.h>

#include "small_state.hpp"
#include "tier.hpp"

namespace sched_test {
namespace {

TEST(SmallState, EveryStateKeepsTheInvariants) {
    const auto depth = Tiers<std::uint32_t>{.brief = 7, .quick = 12, .thorough = 15}.value();
    const auto states =
        Tiers<std::uint64_t>{.brief = 200'000, .quick = 6'000'000, .thorough = 250'000'000}.value();
    const Exploration exploration = explore(depth, states);
    EXPECT_EQ(exploration.violation, "");
    EXPECT_TRUE(exploration.is_complete || is_long_tier());  // the long one stops where memory ends
    std::cout << exploration.states << " states, " << exploration.steps << " steps, complete to depth "
              << exploration.depth << "\n";
    RecordProperty("states", std::to_string(exploration.states));
    RecordProperty("steps", std::to_string(exploration.steps));
    RecordProperty("depth", std::to_string(exploration.depth));
}

// Each defect of the protocol is found, by its own rule.
void expect_found(const ProtocolDefects& defects, const char* rule) {
    const Exploration exploration = explore(9, 1'000'000, defects);
    EXPECT_TRUE(exploration.violation.starts_with(rule))
        << "wanted '" << rule << "', found '" << exploration.violation << "' in " << exploration.states
        << " states";
}

TEST(SmallState, FindsATaskEnqueuedOutsideItsMask) {
    expect_found({.receiver_trusts_mask = true}, "I1");
}
TEST(SmallState, FindsAnEvictionWithoutAnInterrupt) {
    expect_found({.evict_without_ipi = true}, "an eviction never completes");
}
TEST(SmallState, FindsAnIdleHartThatIsNotWoken) {
    expect_found({.claim_without_ipi = true}, "I3");
}
TEST(SmallState, FindsALostTask) {
    expect_found({.thief_drops = true}, "I2");
}
TEST(SmallState, FindsWorkNobodyIsToldOf) {
    expect_found({.no_nudge = true}, "I3");
}
TEST(SmallState, FindsAHartThatLooksBeforeItAnnounces) {
    expect_found({.looks_before_announcing = true}, "I3");
}
TEST(SmallState, FindsAWaitingTaskLeftWhereItsMaskForbids) {
    expect_found({.setter_skips_waiting = true}, "S4");
}

}  // namespace
}  // namespace sched_test
