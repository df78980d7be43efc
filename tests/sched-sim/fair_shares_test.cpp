// SPDX-License-Identifier: MIT
// fair_shares() against cases worked out by hand, against enumeration of every set of harts, and against the
// definition of max-min fairness itself.
#include "fair_shares.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "random.hpp"

namespace sched_sim {
namespace {

constexpr double kExact = 1e-9;  // fair_shares.hpp promises it

void expect_rates(const std::vector<double>& rates, const std::vector<double>& expected) {
    ASSERT_EQ(rates.size(), expected.size());
    for (std::size_t i = 0; i < rates.size(); ++i) {
        EXPECT_NEAR(rates[i], expected[i], kExact) << "task " << i;
    }
}

TEST(FairShares, OneHartDividesByWeight) {
    expect_rates(fair_shares(1, std::vector<Demand>{{1, 1}, {2, 1}, {3, 1}, {10, 1}}),
                 {1 / 16.0, 2 / 16.0, 3 / 16.0, 10 / 16.0});
}

TEST(FairShares, ThreeEqualHogsOnTwoHarts) {
    expect_rates(fair_shares(2, std::vector<Demand>{{1, 3}, {1, 3}, {1, 3}}), {2 / 3.0, 2 / 3.0, 2 / 3.0});
}

TEST(FairShares, AHeavyTaskHasAtMostOneHart) {
    expect_rates(fair_shares(2, std::vector<Demand>{{10, 3}, {1, 3}, {1, 3}}), {1, 0.5, 0.5});
}

TEST(FairShares, PinnedAndFree) {
    // A1 A2 | F1 F2 | B1: all 0.4.
    expect_rates(fair_shares(2, std::vector<Demand>{{1, 1}, {1, 1}, {1, 3}, {1, 3}, {1, 2}}),
                 {0.4, 0.4, 0.4, 0.4, 0.4});
}

TEST(FairShares, PinPile) {
    std::vector<Demand> demands(100, Demand{1, 1});
    demands.resize(106, Demand{1, 15});
    const std::vector<double> rates = fair_shares(4, demands);
    EXPECT_NEAR(rates[0], 0.01, kExact);
    EXPECT_NEAR(rates[105], 0.5, kExact);
}

TEST(FairShares, NoUsableHartNoService) {
    expect_rates(fair_shares(2, std::vector<Demand>{{1, 4}, {1, 1}}), {0, 1});
}

TEST(FairShares, LimitsLeaveTheRestToOthers) {
    expect_rates(fair_shares(1, std::vector<Demand>{{1, 1, 0.2}, {1, 1}, {2, 1}}), {0.2, 0.8 / 3, 1.6 / 3});
    expect_rates(fair_shares(std::vector<double>{1.0, 0.5}, std::vector<Demand>{{1, 3, 0.1}, {1, 3}, {1, 3}}),
                 {0.1, 0.7, 0.7});
}

TEST(FairShares, SlowAndFastHart) {
    const std::vector<double> capacities{1.0, 0.5};
    // Two tasks: each half its time on each hart. One task: the fast hart.
    expect_rates(fair_shares(capacities, std::vector<Demand>{{1, 3}, {1, 3}}), {0.75, 0.75});
    expect_rates(fair_shares(capacities, std::vector<Demand>{{1, 3}}), {1.0});
    // Pinned to the slow one, the other keeps the fast one.
    expect_rates(fair_shares(capacities, std::vector<Demand>{{1, 2}, {1, 3}}), {0.5, 1.0});
    // Weight 2 can use no more than the fast hart all the time.
    expect_rates(fair_shares(capacities, std::vector<Demand>{{1, 3}, {2, 3}}), {0.5, 1.0});
}

// Enumerates every set of harts; the method of tests on machines of few harts.
std::vector<double> by_enumeration(std::uint32_t harts, const std::vector<Demand>& demands) {
    const std::uint64_t all = (std::uint64_t{1} << harts) - 1;
    std::vector<double> rates(demands.size(), 0.0);
    std::vector<bool> frozen(demands.size(), false);
    for (;;) {
        double level = std::numeric_limits<double>::infinity();
        std::uint64_t tight = 0;
        std::size_t capped = demands.size();
        for (std::uint64_t set = 1; set <= all; ++set) {
            double left = std::popcount(set);
            double weight = 0;
            for (std::size_t i = 0; i < demands.size(); ++i) {
                if ((demands[i].mask & ~set) == 0) {
                    left -= frozen[i] ? rates[i] : 0;
                    weight += frozen[i] ? 0 : demands[i].weight;
                }
            }
            if (weight > 0 && left / weight < level) {
                level = left / weight;
                tight = set;
            }
        }
        for (std::size_t i = 0; i < demands.size(); ++i) {
            if (!frozen[i] && 1.0 / demands[i].weight < level) {
                level = 1.0 / demands[i].weight;
                capped = i;
            }
        }
        bool changed = false;
        for (std::size_t i = 0; i < demands.size(); ++i) {
            const bool stops = capped < demands.size() ? i == capped : (demands[i].mask & ~tight) == 0;
            if (!frozen[i] && stops) {
                frozen[i] = changed = true;
                rates[i] = level * demands[i].weight;
            }
        }
        if (!changed) {
            return rates;
        }
    }
}

std::vector<Demand> random_demands(Random& random, std::uint32_t harts) {
    std::vector<Demand> demands(1 + random.below(12));
    for (Demand& demand : demands) {
        demand.weight = static_cast<double>(random.between(1, 1000));
        demand.mask = random.below((std::uint64_t{1} << harts) - 1) + 1;
    }
    return demands;
}

TEST(FairShares, EqualsEnumerationOnRandomMachines) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random{seed};
        const auto harts = static_cast<std::uint32_t>(random.between(1, 6));
        const std::vector<Demand> demands = random_demands(random, harts);
        expect_rates(fair_shares(harts, demands), by_enumeration(harts, demands));
    }
}

// The flow method and the linear program know nothing of each other: a machine whose capacities differ by one
// part in 10^12 goes the second way.
TEST(FairShares, BothMethodsAgree) {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random{seed};
        const auto harts = static_cast<std::uint32_t>(random.between(2, 5));
        const std::vector<Demand> demands = random_demands(random, harts);
        std::vector<double> capacities(harts, 1.0);
        capacities[0] += 1e-12;
        expect_rates(fair_shares(capacities, demands), fair_shares(harts, demands));
    }
}

// Full masks on unequal harts have a closed form (Horvath, Lam, Sethi 1977): the k largest rates together are
// at most the k fastest harts.
TEST(FairShares, FullMasksOnUnequalHarts) {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random{seed};
        std::vector<double> capacities(static_cast<std::size_t>(random.between(2, 5)));
        for (double& capacity : capacities) {
            capacity = static_cast<double>(random.between(200, 1024)) / 1024;
        }
        std::vector<Demand> demands(capacities.size() + random.below(5));
        for (Demand& demand : demands) {
            demand = {static_cast<double>(random.between(1, 50)), ~std::uint64_t{0}};
        }
        const std::vector<double> rates = fair_shares(capacities, demands);
        std::ranges::sort(capacities, std::greater{});
        std::vector<std::size_t> order(demands.size());
        for (std::size_t i = 0; i < order.size(); ++i) {
            order[i] = i;
        }
        std::ranges::sort(order, [&](auto a, auto b) { return demands[a].weight > demands[b].weight; });
        std::size_t done = 0;
        while (done < order.size()) {
            // The next block is the prefix with the least level.
            double best = std::numeric_limits<double>::infinity();
            std::size_t best_end = done;
            double capacity = 0;
            double weight = 0;
            for (std::size_t i = done; i < order.size(); ++i) {
                capacity += i < capacities.size() ? capacities[i] : 0.0;
                weight += demands[order[i]].weight;
                if (capacity / weight < best - 1e-15) {
                    best = capacity / weight;
                    best_end = i;
                }
            }
            for (; done <= best_end; ++done) {
                EXPECT_NEAR(rates[order[done]], best * demands[order[done]].weight, kExact);
            }
        }
    }
}

TEST(FairShares, LargeMachine) {
    Random random{7};
    std::vector<Demand> demands(10'000);
    for (Demand& demand : demands) {
        demand.weight = static_cast<double>(random.between(1, 1000));
        demand.mask =
            random.below(4) == 0 ? std::uint64_t{0xffff} << (16 * random.below(4)) : ~std::uint64_t{0};
    }
    const std::vector<double> rates = fair_shares(64, demands);
    double sum = 0;
    for (const double rate : rates) {
        sum += rate;
    }
    EXPECT_NEAR(sum, 64, 64 * kExact);
}

}  // namespace
}  // namespace sched_sim
