// SPDX-License-Identifier: MIT
#include "patience.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace selftest {
namespace {

using namespace std::chrono_literals;

constexpr user::Instant at(user::Duration since_boot) {
    return user::Instant{since_boot};
}

TEST(Patience, EndsAfterTheWholeTimeWhenLooksAreClose) {
    Patience patience{at(5s)};
    user::Instant now = at(5s);
    std::uint32_t looks = 0;
    while (patience.lasts(now += 100ms)) {
        ++looks;
    }
    EXPECT_EQ(looks, Patience::kWhole / 100ms - 1);
}

TEST(Patience, AMachineThatStoodStillUsesUpOneStep) {
    Patience patience{at(0s)};
    EXPECT_TRUE(patience.lasts(at(3600s)));
    std::uint32_t looks = 1;
    user::Instant now = at(3600s);
    while (patience.lasts(now += 7200s)) {
        ++looks;
    }
    EXPECT_EQ(looks, Patience::kWhole / Patience::kLongestStep - 1);
}

TEST(Patience, AClockThatGoesBackGivesNothing) {
    Patience patience{at(10s)};
    user::Instant now = at(10s);
    for (std::uint32_t i = 0; i < Patience::kWhole / Patience::kLongestStep - 1; ++i) {
        ASSERT_TRUE(patience.lasts(at(0s)));
        ASSERT_TRUE(patience.lasts(now = at(1s)));
    }
    EXPECT_FALSE(patience.lasts(at(2s)));
}

}  // namespace
}  // namespace selftest
