// SPDX-License-Identifier: MIT
#include "lib/set_counts.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace {

using kernel::SetCounts;

class Model {
  public:
    void add(std::uint64_t set) { change(set, 1); }
    void remove(std::uint64_t set) { change(set, -1); }
    void expect_same(const SetCounts& counts) const {
        for (std::uint32_t bit = 0; bit < 64; ++bit) {
            ASSERT_EQ(counts.count(bit), static_cast<std::uint32_t>(counts_[bit])) << "bit " << bit;
        }
    }

  private:
    void change(std::uint64_t set, int by) {
        for (std::uint32_t bit = 0; bit < 64; ++bit) {
            counts_[bit] += (set >> bit & 1) != 0 ? by : 0;
        }
    }
    std::array<int, 64> counts_{};
};

TEST(SetCounts, CountsAsOneCounterForEachThingDoes) {
    std::mt19937_64 random{7};
    SetCounts counts;
    Model model;
    std::vector<std::uint64_t> held;
    for (int step = 0; step < 4000; ++step) {
        const bool adds = held.empty() || random() % 16 < (step < 2000 ? 9U : 7U);
        if (adds) {
            const std::uint64_t kinds[] = {0, ~std::uint64_t{0}, random(), random() & random() & random(),
                                           std::uint64_t{1} << random() % 64};
            held.push_back(kinds[random() % std::size(kinds)]);
            counts.add(held.back());
            model.add(held.back());
        } else {
            std::swap(held[random() % held.size()], held.back());
            counts.remove(held.back());
            model.remove(held.back());
            held.pop_back();
        }
        model.expect_same(counts);
    }
}

TEST(SetCounts, EveryCountReachesTheMostThereMayBe) {
    constexpr std::uint64_t kAll = ~std::uint64_t{0};
    SetCounts counts;
    for (std::uint32_t i = 0; i < SetCounts::kMax; ++i) {
        counts.add(kAll);
    }
    EXPECT_EQ(counts.count(0), SetCounts::kMax);
    EXPECT_EQ(counts.count(63), SetCounts::kMax);
    counts.remove(1);
    EXPECT_EQ(counts.count(0), SetCounts::kMax - 1);
    EXPECT_EQ(counts.count(1), SetCounts::kMax);
    for (std::uint32_t i = 0; i < SetCounts::kMax; ++i) {
        counts.remove(kAll - 1);
    }
    EXPECT_EQ(counts.count(0), SetCounts::kMax - 1);
    EXPECT_EQ(counts.count(63), 0U);
}

}  // namespace
