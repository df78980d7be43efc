// SPDX-License-Identifier: MIT
#include "smp/arrival.hpp"

#include <gtest/gtest.h>

#include <array>
#include <thread>

namespace {

using kernel::smp::Arrival;

TEST(Arrival, AHartThatComesInTimeTakesPart) {
    Arrival arrival;
    EXPECT_FALSE(arrival.has_come());
    EXPECT_TRUE(arrival.report());
    EXPECT_TRUE(arrival.has_come());
    EXPECT_FALSE(arrival.give_up()) << "patience that ends now ends too late";
    EXPECT_TRUE(arrival.has_come());
}

TEST(Arrival, AHartThatComesLateIsToldToPark) {
    Arrival arrival;
    EXPECT_TRUE(arrival.give_up());
    EXPECT_FALSE(arrival.report());
    EXPECT_FALSE(arrival.has_come());
}

// Both at the same moment, many times: they never disagree.
TEST(Arrival, ExactlyOneOfBothDecides) {
    constexpr int kRounds = 20'000;
    static std::array<Arrival, kRounds> arrivals;
    std::array<bool, kRounds> took_part{};
    std::array<bool, kRounds> was_given_up{};
    {
        std::jthread started{[&] {
            for (int i = 0; i < kRounds; ++i) {
                took_part.at(i) = arrivals.at(i).report();
            }
        }};
        for (int i = 0; i < kRounds; ++i) {
            was_given_up.at(i) = arrivals.at(i).give_up();
        }
    }
    for (int i = 0; i < kRounds; ++i) {
        ASSERT_NE(took_part.at(i), was_given_up.at(i)) << i;
        ASSERT_EQ(arrivals.at(i).has_come(), took_part.at(i)) << i;
    }
}

}  // namespace
