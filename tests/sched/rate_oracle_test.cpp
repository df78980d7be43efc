// SPDX-License-Identifier: MIT
// The kernel's integer oracle against the exact allocation in floating point, and its bounds.
#include "sched/rate_oracle.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "fair_shares.hpp"
#include "sched/virtual_time.hpp"

namespace sched_test {
namespace {

using kernel::CpuId;
using kernel::CpuMask;
using kernel::sched::RateOracle;
using kernel::sched::RateTable;

struct Member {
    std::uint32_t weight;
    std::uint64_t mask;
};

// Steps until it is done, and how many that took.
std::uint32_t solve(RateOracle& oracle) {
    std::uint32_t steps = 1;
    while (!oracle.step()) {
        ++steps;
        if (steps > 100'000) {
            ADD_FAILURE() << "no end";
            break;
        }
    }
    return steps;
}

void describe(RateOracle& oracle, std::uint32_t harts, const std::vector<Member>& members) {
    oracle.begin(CpuMask::first(harts));
    for (const Member& member : members) {
        oracle.add_heavy(CpuMask::from_bits(member.mask), member.weight);
    }
}

// What a member's pace comes to, in parts of a hart.
std::vector<double> rates_of(const RateTable& table, std::uint32_t harts, const std::vector<Member>& members,
                             const std::vector<double>& ideal) {
    std::vector<double> paces;
    double paces_sum = 0;
    double ideal_sum = 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
        const CpuMask mask = CpuMask::from_bits(members[i].mask) & CpuMask::first(harts);
        // Without a table and with room for everybody, whatever the paces are is right.
        const bool is_free = table.generation == 0 && ideal[i] >= 1.0 - 1e-6;
        paces.push_back(is_free                 ? 1.0
                        : table.generation == 0 ? members[i].weight
                                                : table.pace_of(members[i].weight, mask));
        paces_sum += paces.back();
        ideal_sum += ideal[i];
    }
    for (double& pace : paces) {
        pace *= ideal_sum / paces_sum;
    }
    return paces;
}

std::vector<Member> random_members(std::mt19937_64& random, std::uint32_t harts, std::size_t masks,
                                   bool is_equal) {
    const std::uint64_t every = harts == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << harts) - 1;
    std::vector<std::uint64_t> kinds;
    for (std::size_t i = 0; i < masks; ++i) {
        const std::uint64_t mask = random() & every;
        kinds.push_back(mask == 0 ? every : mask);
    }
    std::vector<Member> members(std::min<std::size_t>(harts + random() % (2 * harts), 60));
    for (Member& member : members) {
        const auto shares = static_cast<std::uint32_t>(is_equal ? 100 : 1 + random() % 1000);
        member = {.weight = shares * kernel::sched::kWeightPerShare, .mask = kinds[random() % masks]};
    }
    return members;
}

TEST(RateOracle, AgreesWithTheExactAllocation) {
    RateOracle oracle;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        std::mt19937_64 random{seed};
        const auto harts = static_cast<std::uint32_t>(1 + random() % 8);
        const auto members = random_members(random, harts, 1 + random() % 10, random() % 4 == 0);
        std::vector<sched_sim::Demand> demands;
        for (const Member& member : members) {
            demands.push_back({.weight = static_cast<double>(member.weight), .mask = member.mask});
        }
        const auto ideal = sched_sim::fair_shares(harts, demands);
        describe(oracle, harts, members);
        solve(oracle);
        const auto rates = rates_of(oracle.table(), harts, members, ideal);
        for (std::size_t i = 0; i < members.size(); ++i) {
            // Levels closer than 2^-9 count as one; units of 2^-20 of a hart and integer paces round the
            // rest.
            ASSERT_NEAR(rates[i], ideal[i], 0.003) << "seed " << seed << " member " << i;
        }
    }
}

TEST(RateOracle, PacesAreWeightsWhereWeightsAreFeasible) {
    RateOracle oracle;
    describe(oracle, 4, {{1600, 0xf}, {1600, 0xf}, {1600, 0xf}, {1600, 0xf}, {1600, 0xf}});
    solve(oracle);
    EXPECT_EQ(oracle.table().generation, 0U);
    // Different masks alone are no reason either.
    describe(oracle, 2, {{1600, 1}, {1600, 1}, {1600, 3}, {1600, 3}, {1600, 2}});
    solve(oracle);
    EXPECT_EQ(oracle.table().generation, 0U);
}

TEST(RateOracle, NobodyDeservesMoreThanAHart) {
    RateOracle oracle;
    describe(oracle, 2, {{16'000, 3}, {1600, 3}, {1600, 3}});
    solve(oracle);
    const RateTable& table = oracle.table();
    ASSERT_NE(table.generation, 0U);
    EXPECT_EQ(table.whole, 3200U);
    EXPECT_EQ(table.pace_of(16'000, CpuMask::first(2)), 3200U);
    EXPECT_EQ(table.pace_of(1600, CpuMask::first(2)), 1600U);
}

TEST(RateOracle, NoPacesWhereEverybodyCanHaveAHart) {
    RateOracle oracle;
    describe(oracle, 2, {{16'000, 3}, {16, 3}});
    solve(oracle);
    EXPECT_EQ(oracle.table().generation, 0U);
    describe(oracle, 3, {{16'000, 7}, {16, 7}, {16, 4}, {16, 4}});
    solve(oracle);
    EXPECT_NE(oracle.table().generation, 0U);
}

TEST(RateOracle, AHartThatGivesLessIsWorthLess) {
    RateOracle oracle;
    oracle.begin(CpuMask::first(2));
    oracle.set_capacity(CpuId{1}, RateOracle::kHart / 4);
    oracle.add_heavy(CpuMask::from_bits(1), 1600);
    oracle.add_heavy(CpuMask::from_bits(2), 1600);
    solve(oracle);
    EXPECT_NEAR(static_cast<double>(oracle.table().pace_of(1600, CpuMask::from_bits(1))) /
                    oracle.table().pace_of(1600, CpuMask::from_bits(2)),
                4.0, 0.01);  // integer paces
}

// A mask with no hart left, more masks than there are groups, more heavy tasks than there are places: nothing
// is lost but precision, and one step stays one step.
TEST(RateOracle, IsBounded) {
    RateOracle oracle;
    std::uint32_t most = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        std::mt19937_64 random{seed};
        oracle.begin(CpuMask::all());
        oracle.add(CpuMask{}, 1600);
        for (int i = 0; i < 200; ++i) {
            const CpuMask mask = CpuMask::from_bits(random() & random());
            oracle.add_heavy(mask, static_cast<std::uint32_t>(16 * (1 + random() % 1000)));
            oracle.add(mask, 16 * (1 + random() % 1'000'000));
        }
        most = std::max(most, solve(oracle));
        EXPECT_LE(oracle.table().count, kernel::sched::kMaxRateGroups);
        for (std::uint32_t i = 0; i < oracle.table().count; ++i) {
            EXPECT_GE(oracle.table().rows[i].factor, RateTable::kFactorOne);
            EXPECT_LE(oracle.table().rows[i].factor, RateTable::kLongestFactor);
        }
    }
    EXPECT_LE(most, 1000U);  // at a call per request end a solution is at most seconds old
    EXPECT_GE(most, 2U);     // it does stop in between
    std::printf("steps at most %u\n", most);
}

TEST(RateOracle, NobodyThere) {
    RateOracle oracle;
    oracle.begin(CpuMask::first(4));
    EXPECT_TRUE(oracle.step());
    EXPECT_EQ(oracle.table().generation, 0U);
    EXPECT_EQ(oracle.table().count, 0U);
}

}  // namespace
}  // namespace sched_test
