// SPDX-License-Identifier: MIT
// The kernel's rate oracle beside one that tries every set of masks: of the sets that are not served yet the
// one whose harts are wanted most has its level, and the next one what is left of the harts. Small weights,
// so that two levels are equal or further apart than units of a hart round; then every row is exact.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "machine.hpp"
#include "sched/rate_oracle.hpp"

namespace sched_test {
namespace {

using kernel::sched::kMaxRateGroups;
using kernel::sched::RateOracle;
using kernel::sched::RateTable;

using Wide = __int128;

// Units of a hart per weight.
struct Level {
    Wide units{0};
    Wide weight{1};
    [[nodiscard]] bool is_below(const Level& other) const {
        return units * other.weight < other.units * weight;
    }
    // What so much weight has at this level.
    [[nodiscard]] bool gives(Wide of, Wide amount) const { return of * units >= amount * weight; }
};

struct Masked {
    std::uint64_t mask;
    Wide weight{0};             // of the divisible members
    std::vector<Wide> heavies;  // the others
    std::optional<Level> level;
};

class Exact {
  public:
    explicit Exact(std::uint32_t harts) : capacity_(harts, RateOracle::kHart) {}
    void set_capacity(std::uint32_t hart, Wide capacity) { capacity_[hart] = capacity; }
    void add(std::uint64_t mask, Wide weight) {
        if (weight != 0 && (mask & every()) != 0) {
            group_of(mask & every()).weight += weight;
        }
    }
    void add_heavy(std::uint64_t mask, Wide weight) {
        if ((mask & every()) != 0) {
            group_of(mask & every()).heavies.push_back(weight);
        }
    }

    RateTable solve() {
        limit_ = *std::ranges::max_element(capacity_);
        std::uint64_t open = every();
        bool is_limited = false;
        bool is_shared = false;
        while (std::ranges::any_of(groups_, [](const Masked& group) { return !group.level; })) {
            const std::uint64_t served = serve_next(open);
            std::uint64_t taken = 0;
            for (std::size_t i = 0; i < groups_.size(); ++i) {
                const Masked& group = groups_[i];
                if ((served >> i & 1U) == 0) {
                    continue;
                }
                taken |= group.mask;
                is_shared = is_shared || group.weight != 0;
                for (const Wide heavy : group.heavies) {
                    (group.level->gives(heavy, limit_) ? is_limited : is_shared) = true;
                }
            }
            open &= ~taken;
        }
        return table_of(is_limited, is_shared);
    }

    // Of members that all have a whole hart there is no one level: any from which on they do is right.
    [[nodiscard]] bool has_one_level(std::size_t group) const {
        const Masked& its = groups_[group];
        return its.weight != 0 ||
               !std::ranges::all_of(its.heavies, [&](Wide heavy) { return its.level->gives(heavy, limit_); });
    }
    // The paces of such members are those of a whole hart, but for what a factor rounds of so small a weight.
    void expect_whole(std::size_t group, const RateTable& found) const {
        const CpuMask mask = CpuMask::from_bits(groups_[group].mask);
        for (const Wide heavy : groups_[group].heavies) {
            const std::uint32_t pace = found.pace_of(static_cast<std::uint32_t>(heavy), mask);
            EXPECT_TRUE(pace == found.whole || pace + 1 == found.whole) << pace << " of " << found.whole;
        }
    }

  private:
    [[nodiscard]] std::uint64_t every() const { return (std::uint64_t{1} << capacity_.size()) - 1; }
    Masked& group_of(std::uint64_t mask) {
        const auto found = std::ranges::find(groups_, mask, &Masked::mask);
        return found != groups_.end() ? *found : groups_.emplace_back(mask);
    }

    // Gives the sets that want most their level; answers them.
    std::uint64_t serve_next(std::uint64_t open) {
        std::optional<Level> least;
        std::uint64_t served = 0;
        std::uint64_t left = 0;
        for (std::uint64_t set = 1; set < std::uint64_t{1} << groups_.size(); ++set) {
            const std::optional<Level> level = level_of(set, open);
            left |= is_left(set) ? set : 0;
            if (!level || (least && least->is_below(*level))) {
                continue;
            }
            served = least && !level->is_below(*least) ? served | set : set;
            least = level;
        }
        if (!least) {
            // There is a hart for each of those that are left.
            served = left;
            least = Level{.units = limit_, .weight = lightest_of(left)};
        }
        for (std::size_t i = 0; i < groups_.size(); ++i) {
            if ((served >> i & 1U) != 0) {
                groups_[i].level = least;
            }
        }
        return served;
    }
    [[nodiscard]] bool is_left(std::uint64_t set) const {
        for (std::size_t i = 0; i < groups_.size(); ++i) {
            if ((set >> i & 1U) != 0 && groups_[i].level) {
                return false;
            }
        }
        return true;
    }
    [[nodiscard]] Wide lightest_of(std::uint64_t set) const {
        Wide lightest = Wide{1} << 64U;
        for (std::size_t i = 0; i < groups_.size(); ++i) {
            for (const Wide heavy : groups_[i].heavies) {
                lightest = (set >> i & 1U) != 0 ? std::min(lightest, heavy) : lightest;
            }
        }
        return lightest;
    }
    // At which the set uses up the harts it may use; none where each has a hart before that.
    [[nodiscard]] std::optional<Level> level_of(std::uint64_t set, std::uint64_t open) const {
        if (!is_left(set)) {
            return std::nullopt;
        }
        std::uint64_t harts = 0;
        Wide weight = 0;
        std::vector<Wide> heavies;
        for (std::size_t i = 0; i < groups_.size(); ++i) {
            if ((set >> i & 1U) != 0) {
                harts |= groups_[i].mask & open;
                weight += groups_[i].weight;
                heavies.insert(heavies.end(), groups_[i].heavies.begin(), groups_[i].heavies.end());
            }
        }
        Wide capacity = 0;
        for (std::size_t hart = 0; hart < capacity_.size(); ++hart) {
            capacity += (harts >> hart & 1U) != 0 ? capacity_[hart] : 0;
        }
        // So many of the heaviest have a hart each, and no others.
        std::ranges::sort(heavies, std::greater{});
        for (std::size_t whole = 0; whole <= heavies.size(); ++whole) {
            Wide rest = weight;
            for (std::size_t i = whole; i < heavies.size(); ++i) {
                rest += heavies[i];
            }
            const Level level{.units = capacity - static_cast<Wide>(whole) * limit_, .weight = rest};
            const bool is_enough = whole == 0 || level.gives(heavies[whole - 1], limit_);
            const bool is_all = whole == heavies.size() || !level.gives(heavies[whole], limit_);
            if (rest != 0 && level.units >= 0 && is_enough && is_all) {
                return level;
            }
        }
        return std::nullopt;
    }

    [[nodiscard]] RateTable table_of(bool is_limited, bool is_shared) const {
        RateTable table;
        table.count = static_cast<std::uint32_t>(groups_.size());
        if (groups_.empty()) {
            return table;
        }
        Level least = *groups_.front().level;
        for (const Masked& group : groups_) {
            least = group.level->is_below(least) ? *group.level : least;
        }
        bool has_levels = false;
        for (std::size_t i = 0; i < groups_.size(); ++i) {
            const Level& level = *groups_[i].level;
            Wide factor = RateTable::kFactorOne * level.units * least.weight / (level.weight * least.units);
            factor = std::min(factor, Wide{RateTable::kLongestFactor});
            // Nearer than a 512th is alike.
            factor = factor * 512 < 513 * Wide{RateTable::kFactorOne} ? RateTable::kFactorOne : factor;
            has_levels = has_levels || factor != RateTable::kFactorOne;
            table.rows[i] = {.mask = CpuMask::from_bits(groups_[i].mask),
                             .factor = static_cast<std::uint64_t>(factor)};
        }
        if (is_shared && (has_levels || is_limited)) {
            table.generation = 1;
            table.whole = static_cast<std::uint32_t>(std::max(limit_ * least.weight / least.units, Wide{1}));
        }
        return table;
    }

    std::vector<Wide> capacity_;
    std::vector<Masked> groups_;
    Wide limit_{0};
};

RateTable solved(RateOracle& oracle) {
    while (!oracle.step()) {
    }
    return oracle.table();
}

// Whether every row could be compared.
bool expect_same(const RateTable& found, Exact& problem) {
    const RateTable exact = problem.solve();
    EXPECT_EQ(found.count, exact.count);
    EXPECT_EQ(found.generation, exact.generation);
    bool is_all = true;
    for (std::uint32_t i = 0; i < found.count; ++i) {
        is_all = is_all && problem.has_one_level(i);
    }
    if (!is_all && found.whole < exact.whole) {
        return false;  // the lowest level is one that nothing hangs on: all are larger in proportion
    }
    EXPECT_EQ(found.whole, exact.whole);
    for (std::uint32_t i = 0; i < found.count; ++i) {
        EXPECT_EQ(found.rows[i].mask, exact.rows[i].mask) << i;
        if (problem.has_one_level(i)) {
            EXPECT_EQ(found.rows[i].factor, exact.rows[i].factor) << i;
        } else if (found.generation != 0) {
            problem.expect_whole(i, found);
        }
    }
    return is_all;
}

TEST(RateOracleExact, EveryRowIsThatOfTheSetsThatWantMost) {
    RateOracle oracle;
    std::uint32_t with_table = 0;
    std::uint32_t compared = 0;
    for (std::uint64_t seed = 1; seed <= 12'000; ++seed) {
        std::mt19937_64 random{seed};
        const auto below = [&](std::uint64_t bound) { return random() % bound; };
        const auto harts = static_cast<std::uint32_t>(1 + below(5));
        Exact exact{harts};
        oracle.begin(CpuMask::first(harts));
        if (below(3) == 0) {
            for (std::uint32_t hart = 0; hart < harts; ++hart) {
                const auto capacity = static_cast<std::uint32_t>(RateOracle::kHart / 8 * (1 + below(8)));
                exact.set_capacity(hart, capacity);
                oracle.set_capacity(CpuId{hart}, capacity);
            }
        }
        std::vector<std::uint64_t> masks;
        for (std::uint64_t i = 1 + below(4); i > 0; --i) {
            masks.push_back(below(std::uint64_t{2} << harts));  // one more than there are harts
        }
        for (std::uint64_t i = below(9); i > 0; --i) {
            const std::uint64_t mask = masks[below(masks.size())];
            const auto weight = static_cast<std::uint32_t>(below(6) == 0 ? 20 : 1 + below(4));
            if (below(3) == 0) {
                exact.add(mask, weight - 1);
                oracle.add(CpuMask::from_bits(mask), weight - 1);
            } else {
                exact.add_heavy(mask, weight);
                oracle.add_heavy(CpuMask::from_bits(mask), weight);
            }
        }
        const RateTable found = solved(oracle);
        compared += expect_same(found, exact) ? 1 : 0;
        ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
        with_table += found.generation;
    }
    EXPECT_GT(with_table, 3000U);
    EXPECT_LT(with_table, 11'000U);
    EXPECT_GT(compared, 6000U);
}

// --- Bounds ---

// As many masks as there may be, of two harts each and one of a single one; the last hart is nobody's.
class ManyMasks : public testing::Test {
  protected:
    ManyMasks() {
        oracle.begin(CpuMask::all());
        for (std::uint32_t i = 0; i < kMaxRateGroups; ++i) {
            oracle.add(mask_of(i), 100);
        }
    }
    static CpuMask mask_of(std::uint32_t group) {
        return CpuMask::from_bits(std::uint64_t{group == kMaxRateGroups - 1 ? 1U : 3U} << 2 * group);
    }
    // How much more the group weighs than the others, whose levels are the same.
    std::uint64_t weight_of(std::uint32_t group) {
        const RateTable table = solved(oracle);
        EXPECT_EQ(table.count, kMaxRateGroups);
        const std::uint32_t other = group == 5 ? 6 : 5;
        return 100 * table.rows[other].factor / table.rows[group].factor;
    }
    RateOracle oracle;
};

TEST_F(ManyMasks, AnotherOneJoinsWhomItHasMostInCommonWith) {
    oracle.add(CpuMask::from_bits(0b11'0001'0000), 100);  // one hart of 2, two of 4
    EXPECT_EQ(weight_of(4), 200U);
}
TEST_F(ManyMasks, TheOrderDoesNotMatter) {
    oracle.add(CpuMask::from_bits(0b01'0011'0000), 100);  // two harts of 2, one of 4
    EXPECT_EQ(weight_of(2), 200U);
}
TEST_F(ManyMasks, OfEqualsItJoinsTheFirst) {
    oracle.add(CpuMask::from_bits(0b11'0011'0000), 100);
    EXPECT_EQ(weight_of(2), 200U);
}
TEST_F(ManyMasks, WithNobodyInCommonItJoinsTheVeryFirst) {
    oracle.add(CpuMask::of(CpuId{63}), 100);
    EXPECT_EQ(weight_of(0), 200U);
}
TEST_F(ManyMasks, OneThatIsThereIsItsOwn) {
    oracle.add(mask_of(20), 300);
    EXPECT_EQ(weight_of(20), 400U);
}

// The heaviest have places of their own; who finds none is a part of its group.
TEST(RateOracleExact, TheLightestOfTooManyAreDivisible) {
    RateOracle oracle;
    oracle.begin(CpuMask::first(3));
    const CpuMask pair = CpuMask::first(2);
    for (std::uint32_t i = 0; i < RateOracle::kMaxHeavies; ++i) {
        oracle.add_heavy(pair, 10);
    }
    oracle.add_heavy(pair, 5);
    oracle.add_heavy(pair, 10'000);  // has a hart of its own, and the others the other one
    oracle.add_heavy(CpuMask::of(CpuId{2}), 1290);
    oracle.add(CpuMask::of(CpuId{2}), 0);
    const RateTable table = solved(oracle);
    ASSERT_EQ(table.count, 2U);
    EXPECT_EQ(table.generation, 1U);
    // 64 of weight 10 and one of 5 share a hart: 645; the last hart has one for itself.
    EXPECT_EQ(table.whole, 645U);
    EXPECT_EQ(table.rows[0].factor, RateTable::kFactorOne);
    EXPECT_EQ(table.rows[1].factor, RateTable::kFactorOne);
}

// A level that is too far from the lowest one counts as the furthest there is.
TEST(RateOracleExact, FactorsEndWhereATableDoes) {
    for (const std::uint64_t times :
         {1ULL << 13U, (1ULL << 14U) - 1, 1ULL << 14U, (1ULL << 14U) + 1, 1ULL << 20U}) {
        RateOracle oracle;
        oracle.begin(CpuMask::first(2));
        oracle.add(CpuMask::of(CpuId{0}), 16 * times);
        oracle.add(CpuMask::of(CpuId{1}), 16);
        const RateTable table = solved(oracle);
        ASSERT_EQ(table.count, 2U);
        EXPECT_EQ(table.rows[0].factor, RateTable::kFactorOne);
        EXPECT_EQ(table.rows[1].factor, std::min(times * RateTable::kFactorOne, RateTable::kLongestFactor));
        oracle.begin(CpuMask::first(2));
        oracle.add(CpuMask::of(CpuId{0}), 16 * times + 8);
        oracle.add(CpuMask::of(CpuId{1}), 16);
        EXPECT_EQ(
            solved(oracle).rows[1].factor,
            std::min(times * RateTable::kFactorOne + RateTable::kFactorOne / 2, RateTable::kLongestFactor));
    }
}

// Less than a 512th apart they are one.
TEST(RateOracleExact, LevelsThatAreNearlyAlikeAreOne) {
    for (const std::uint64_t weight : {1024U, 1025U, 1026U, 1027U}) {
        RateOracle oracle;
        oracle.begin(CpuMask::first(2));
        oracle.add(CpuMask::of(CpuId{0}), weight);
        oracle.add(CpuMask::of(CpuId{1}), 1024);
        const RateTable table = solved(oracle);
        EXPECT_EQ(table.rows[1].factor, weight < 1026 ? RateTable::kFactorOne : 64 * weight) << weight;
        EXPECT_EQ(table.generation, weight < 1026 ? 0U : 1U) << weight;
    }
}

// Weights far beyond what a machine has, where parts of factors do not fit a word.
TEST(RateOracleExact, HugeWeights) {
    for (std::uint32_t shift = 20; shift <= 30; ++shift) {
        RateOracle oracle;
        oracle.begin(CpuMask::first(2));
        oracle.add(CpuMask::of(CpuId{0}), std::uint64_t{3} << shift);
        oracle.add(CpuMask::of(CpuId{1}), std::uint64_t{2} << shift);
        const RateTable table = solved(oracle);
        EXPECT_NEAR(static_cast<double>(table.rows[1].factor), 1.5 * RateTable::kFactorOne, 1.0) << shift;
    }
}

}  // namespace
}  // namespace sched_test
