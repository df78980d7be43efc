// SPDX-License-Identifier: MIT
#include "water_fill.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <random>

namespace {

using selftest::Demand;
using selftest::water_fill;
using testing::DoubleNear;
using testing::ElementsAre;

constexpr double kExact = 1e-9;

auto near(double value) {
    return DoubleNear(value, kExact);
}

TEST(WaterFill, OneCpuIsSplitByWeight) {
    const std::vector<Demand> demands{{10, 1}, {50, 1}, {100, 1}};
    EXPECT_THAT(water_fill(1, demands), ElementsAre(near(10.0 / 160), near(50.0 / 160), near(100.0 / 160)));
}

TEST(WaterFill, ThreeEqualTasksOnTwoCpusGetTwoThirdsEach) {
    const std::vector<Demand> demands{{1, 3}, {1, 3}, {1, 3}};
    EXPECT_THAT(water_fill(2, demands), ElementsAre(near(2.0 / 3), near(2.0 / 3), near(2.0 / 3)));
}

TEST(WaterFill, HeavyTaskGetsOneCpuNotItsRatio) {
    const std::vector<Demand> demands{{10, 3}, {1, 3}, {1, 3}};
    EXPECT_THAT(water_fill(2, demands), ElementsAre(near(1), near(0.5), near(0.5)));
}

TEST(WaterFill, PinnedTasksAndAFreeOne) {
    // A pinned to 0, B pinned to 1, F free: two thirds each.
    const std::vector<Demand> demands{{1, 1}, {1, 2}, {1, 3}};
    EXPECT_THAT(water_fill(2, demands), ElementsAre(near(2.0 / 3), near(2.0 / 3), near(2.0 / 3)));
}

TEST(WaterFill, CrowdedCpuDoesNotDragTheOtherDown) {
    // Two pinned to 0, two free, one pinned to 1: the level is 2/5 for all.
    const std::vector<Demand> equal{{1, 1}, {1, 1}, {1, 3}, {1, 3}, {1, 2}};
    EXPECT_THAT(water_fill(2, equal), testing::Each(near(0.4)));
    // Four pinned to 0: a quarter each; the free one takes all of CPU 1.
    const std::vector<Demand> pile{{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 3}};
    EXPECT_THAT(water_fill(2, pile), ElementsAre(near(0.25), near(0.25), near(0.25), near(0.25), near(1)));
}

TEST(WaterFill, EmptyMaskGetsNothing) {
    const std::vector<Demand> demands{{1, 0}, {1, 0b100}, {1, 1}};
    EXPECT_THAT(water_fill(2, demands), ElementsAre(near(0), near(0), near(1)));
}

// Max-min: whoever has less per weight than another shares no CPU with it that the other could leave.
TEST(WaterFill, RandomGraphsAreFeasibleAndWorkConserving) {
    constexpr unsigned kSeed = 1;
    std::mt19937 random{kSeed};
    for (int round = 0; round < 200; ++round) {
        const std::uint32_t cpus = 1 + random() % 4;
        const std::uint64_t all = (std::uint64_t{1} << cpus) - 1;
        std::vector<Demand> demands(1 + random() % 6);
        for (Demand& demand : demands) {
            demand = {static_cast<double>(1 + random() % 1000), 1 + random() % all};
        }
        const std::vector<double> rates = water_fill(cpus, demands);
        for (std::uint64_t set = 1; set <= all; ++set) {
            double confined = 0;
            for (std::size_t i = 0; i < demands.size(); ++i) {
                confined += (demands[i].mask & all & ~set) == 0 ? rates[i] : 0;
            }
            EXPECT_LE(confined, std::popcount(set) + kExact) << "seed " << kSeed << " round " << round;
        }
        // Nobody's rate can grow: it has a CPU for itself, or some full set of CPUs confines it.
        for (std::size_t i = 0; i < demands.size(); ++i) {
            bool bounded = rates[i] > 1 - kExact;
            for (std::uint64_t set = 1; set <= all && !bounded; ++set) {
                if ((demands[i].mask & all & ~set) != 0) {
                    continue;
                }
                double confined = 0;
                for (std::size_t j = 0; j < demands.size(); ++j) {
                    confined += (demands[j].mask & all & ~set) == 0 ? rates[j] : 0;
                }
                bounded = confined > std::popcount(set) - 1e-6;
            }
            EXPECT_TRUE(bounded) << "seed " << kSeed << " round " << round << " task " << i;
        }
    }
}

}  // namespace
