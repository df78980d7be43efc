// SPDX-License-Identifier: MIT
// The user's side of the call border: return registers, argument registers, the class of every number.
#include "nexus_abi/calls.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "nexus_abi/sched_calls.hpp"

namespace {

using nexus_abi::Error;
using nexus_abi::kCallRows;
using nexus_abi::Support;

std::uint64_t as_register(std::int64_t value) {
    return static_cast<std::uint64_t>(value);
}

TEST(FromRegister, OnlyMinus1ToMinus4095AreErrors) {
    const auto error = nexus_abi::detail::from_register(as_register(-1));
    ASSERT_FALSE(error.ok());
    EXPECT_EQ(error.error(), Error::NotPermitted);
    EXPECT_FALSE(nexus_abi::detail::from_register(as_register(-4095)).ok());

    const auto beyond = nexus_abi::detail::from_register(as_register(-4096));
    ASSERT_TRUE(beyond.ok());
    EXPECT_EQ(*beyond, as_register(-4096));
    const auto zero = nexus_abi::detail::from_register(0);
    ASSERT_TRUE(zero.ok());
    EXPECT_EQ(*zero, 0U);
    const auto high_address = nexus_abi::detail::from_register(std::uint64_t{1} << 63U);
    ASSERT_TRUE(high_address.ok());
}

TEST(ToRegister, SignedValuesAreSignExtendedUnsignedOnesAreNot) {
    EXPECT_EQ(nexus_abi::detail::to_register(std::int32_t{-1}), ~std::uint64_t{0});
    EXPECT_EQ(nexus_abi::detail::to_register(std::uint32_t{0xffffffffU}), 0xffffffffU);
    EXPECT_EQ(nexus_abi::detail::to_register(std::int64_t{-2}), ~std::uint64_t{1});
    const int object = 0;
    EXPECT_EQ(nexus_abi::detail::to_register(nexus_abi::In<int>{&object}),
              reinterpret_cast<std::uint64_t>(&object));
}

TEST(Calls, AnswerNotImplementedOffTarget) {
    const auto information = nexus_abi::info();
    ASSERT_FALSE(information.ok());
    EXPECT_EQ(information.error(), Error::NotImplemented);
    EXPECT_EQ(nexus_abi::sched::set_affinity(0, 1).error(), Error::NotImplemented);
    EXPECT_EQ(nexus_abi::spawn({.path = "/bin/true"}).error(), Error::NotImplemented);
}

TEST(Table, AritiesAreThoseOfThePrototypes) {
    EXPECT_EQ(decltype(nexus_abi::call::sched_yield)::kArity, 0U);
    EXPECT_EQ(decltype(nexus_abi::call::sched_set_qos_class)::kArity, 2U);
    EXPECT_EQ(decltype(nexus_abi::call::futex)::kArity, 6U);
}

std::optional<Support> support_of(std::uint32_t number) {
    const auto row = std::ranges::find(kCallRows, number, &nexus_abi::CallRow::number);
    if (row == std::end(kCallRows)) {
        return std::nullopt;
    }
    return row->support;
}

// abi.md, "Linux block": what libc and the programs of milestones 1 and 2 need. A row that vanishes or
// changes class breaks programs, so the set is spelt out once more here, from the document and not from the
// table.
TEST(Table, EveryLinuxNumberHasItsOneClass) {
    const std::vector<std::uint32_t> implemented{
        23,  24,  25,  34,  35,  36,  45,  46,  274, 275, 276, 48,  49,  50,  59,  61,  73,  199,
        68,  82,  83,  291, 439, 17,  29,  56,  57,  62,  63,  64,  65,  66,  67,  78,  79,  80,
        93,  94,  95,  96,  98,  99,  100, 101, 102, 103, 107, 108, 109, 110, 111, 113, 114, 115,
        116, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 129, 130, 131, 132, 133, 134, 135,
        136, 137, 138, 139, 240, 140, 141, 142, 143, 144, 145, 146, 147, 148, 149, 150, 151, 152,
        153, 154, 155, 156, 157, 158, 159, 160, 165, 167, 168, 169, 172, 173, 174, 175, 176, 177,
        178, 179, 214, 215, 220, 221, 222, 226, 233, 259, 260, 261, 278, 43,  44,  47,  52,  53,
        54,  55,  69,  70,  88,  166, 206, 207, 208, 209, 210, 211, 212, 279, 32,  37,  72,  112,
        170, 171, 266, 436, 19,  33,  71,  283, 285, 449, 20,  21,  22,  85,  86,  87,  441};
    const std::vector<std::uint32_t> accepted{227, 228, 229, 230, 231};
    const std::vector<std::uint32_t> probed_only{293, 435};
    for (std::uint32_t number = 0; number < nexus_abi::kLinuxBlockEnd; ++number) {
        const auto support = support_of(number);
        if (std::ranges::find(implemented, number) != implemented.end()) {
            ASSERT_TRUE(support.has_value()) << number;
            EXPECT_EQ(*support, Support::Implemented) << number;
        } else if (std::ranges::find(accepted, number) != accepted.end()) {
            ASSERT_TRUE(support.has_value()) << number;
            EXPECT_EQ(*support, Support::Accepted) << number;
        } else if (std::ranges::find(probed_only, number) != probed_only.end()) {
            ASSERT_TRUE(support.has_value()) << number;
            EXPECT_EQ(*support, Support::Unsupported) << number;
        } else {
            EXPECT_FALSE(support.has_value()) << number << " is in the table but not in this test";
        }
    }
}

TEST(Table, NeuronBlockIsDenseFrom1024) {
    std::uint32_t next = nexus_abi::kLinuxBlockEnd;
    for (const nexus_abi::CallRow& row : kCallRows) {
        if (row.number >= nexus_abi::kLinuxBlockEnd) {
            EXPECT_EQ(row.number, next) << row.name;
            ++next;
        }
    }
    EXPECT_EQ(next, 1049U);
}

consteval bool rejects(nexus_abi::CallRow first, nexus_abi::CallRow second) {
    const nexus_abi::CallRow rows[] = {first, second};
    return !nexus_abi::table_is_well_formed(rows);
}
constexpr nexus_abi::CallRow kGood{1, "a", "()", Support::Implemented, "Does a.", 0};
static_assert(rejects(kGood, {1, "b", "()", Support::Implemented, "Twice.", 0}));
static_assert(rejects(kGood, {0, "b", "()", Support::Implemented, "Descends.", 0}));
static_assert(rejects(kGood, {2, "b", "()", Support::Implemented, "", 0}));
static_assert(rejects(kGood, {2048, "b", "()", Support::Implemented, "Beyond.", 0}));
static_assert(rejects(kGood, {2, "b", "()", Support::Implemented, "Too many.", 7}));
static_assert(!rejects(kGood, {2, "b", "()", Support::Implemented, "Fine.", 6}));

}  // namespace
