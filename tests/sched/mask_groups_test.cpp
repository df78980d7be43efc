// SPDX-License-Identifier: MIT
#include "sched/mask_groups.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <vector>

namespace sched_test {
namespace {

using kernel::CpuMask;
using kernel::sched::MaskGroups;

// {mask: weight} of all places with members but the rest, and the weight of the rest with mask 0.
std::map<std::uint64_t, std::uint32_t> weights(const MaskGroups& groups) {
    std::map<std::uint64_t, std::uint32_t> found;
    for (std::size_t i = 0; i < groups.all().size(); ++i) {
        const MaskGroups::Group& group = groups.all()[i];
        if (group.count != 0) {
            found[i == MaskGroups::kRest ? 0 : group.mask.bits()] += group.weight;
        } else {
            EXPECT_EQ(group.weight, 0U);
        }
    }
    return found;
}
using Weights = std::map<std::uint64_t, std::uint32_t>;

TEST(MaskGroupsTest, MembersOfOneMaskAreOneGroup) {
    MaskGroups groups;
    const auto first = groups.join(CpuMask::from_bits(3), 10);
    const auto other = groups.join(CpuMask::from_bits(1), 20);
    EXPECT_EQ(groups.join(CpuMask::from_bits(3), 5), first);
    EXPECT_NE(other, first);
    EXPECT_EQ(weights(groups), (Weights{{3, 15}, {1, 20}}));
    groups.leave(first, 10);
    EXPECT_EQ(weights(groups), (Weights{{3, 5}, {1, 20}}));
    groups.leave(first, 5);
    EXPECT_EQ(weights(groups), (Weights{{1, 20}}));
}

TEST(MaskGroupsTest, APlaceThatIsFreeAgainIsUsedAndAMaskIsFoundBehindIt) {
    MaskGroups groups;
    const auto first = groups.join(CpuMask::from_bits(1), 1);
    const auto second = groups.join(CpuMask::from_bits(2), 1);
    groups.leave(first, 1);
    EXPECT_EQ(groups.join(CpuMask::from_bits(2), 1), second) << "not a second place of the same mask";
    EXPECT_EQ(groups.join(CpuMask::from_bits(4), 1), first);
    EXPECT_EQ(weights(groups), (Weights{{2, 2}, {4, 1}}));
}

TEST(MaskGroupsTest, WhoFindsNoPlaceIsOfTheRest) {
    MaskGroups groups;
    std::vector<std::uint8_t> places;
    for (std::uint64_t i = 0; i < MaskGroups::kRest; ++i) {
        places.push_back(groups.join(CpuMask::from_bits(i + 1), 1));
        EXPECT_NE(places.back(), MaskGroups::kRest);
    }
    const std::uint64_t late = MaskGroups::kRest + 1;
    EXPECT_EQ(groups.join(CpuMask::from_bits(late), 7), MaskGroups::kRest);
    EXPECT_EQ(groups.join(CpuMask::from_bits(late + 1), 8), MaskGroups::kRest);
    EXPECT_EQ(weights(groups)[0], 15U);
    EXPECT_EQ(groups.join(CpuMask::from_bits(1), 1), places[0]) << "those with a place keep it";
    groups.leave(places[1], 1);
    EXPECT_EQ(groups.join(CpuMask::from_bits(late), 9), places[1]) << "a place has become free";
    EXPECT_EQ(weights(groups)[late], 9U);
    groups.leave(MaskGroups::kRest, 7);
    EXPECT_EQ(weights(groups)[0], 8U);
}

TEST(MaskGroupsTest, OneFollowsTheOther) {
    MaskGroups groups;
    const auto first = groups.join(CpuMask::from_bits(3), 10);
    EXPECT_EQ(groups.replace_only(first, 10, CpuMask::from_bits(3), 4), first);
    EXPECT_EQ(weights(groups), (Weights{{3, 4}}));
    const auto other = groups.replace_only(first, 4, CpuMask::from_bits(1), 6);
    EXPECT_EQ(weights(groups), (Weights{{1, 6}}));
    groups.leave(other, 6);
    EXPECT_EQ(weights(groups), Weights{});
}

// The rest has no mask of its own: who was of it may have a place as soon as there is one.
TEST(MaskGroupsTest, OneThatFollowsOneOfTheRestHasAPlace) {
    MaskGroups groups;
    for (std::uint64_t i = 0; i < MaskGroups::kRest; ++i) {
        ASSERT_EQ(groups.join(CpuMask::from_bits(i + 1), 1), i);
    }
    const CpuMask late = CpuMask::from_bits(MaskGroups::kRest + 1);
    ASSERT_EQ(groups.join(late, 7), MaskGroups::kRest);
    for (std::uint8_t i = 0; i < MaskGroups::kRest; ++i) {
        groups.leave(i, 1);
    }
    EXPECT_NE(groups.replace_only(MaskGroups::kRest, 7, late, 7), MaskGroups::kRest);
    EXPECT_EQ(weights(groups), (Weights{{late.bits(), 7}}));
}

}  // namespace
}  // namespace sched_test
