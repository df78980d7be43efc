// SPDX-License-Identifier: MIT
// Who may set which budget, and the ceilings of sched_set_limits: every rule and errno, and who takes over
// what.
#include <gtest/gtest.h>

#include "machine.hpp"
#include "sched/params.hpp"

namespace sched_test {
namespace {

namespace abi = nexus_abi;
using abi::Error;
using kernel::Result;
using kernel::sched::apply;
using kernel::sched::apply_limits;
using kernel::sched::Authority;
using kernel::sched::BudgetParams;
using kernel::sched::Change;
using kernel::sched::is_within;
using kernel::sched::Limits;
using kernel::sched::parse_budget;
using kernel::sched::parse_limits;
using enum QosClass;

constexpr BudgetParams kFifth{.runtime = 20_ms, .period = 100_ms};

template <class T>
Error error_of(const Result<T>& result) {
    return result.ok() ? Error{} : result.error();
}

Authority authority(bool privileged, Limits limits = {}) {
    return {.limits = limits, .online = CpuMask::first(4), .privileged = privileged};
}

Change budget_change(Duration runtime, Duration period) {
    return {.fields = abi::kFieldBudget, .budget = {.runtime = runtime, .period = period}};
}

TEST(ParseBudget, HasARangeAndNoClamp) {
    EXPECT_EQ(parse_budget(0, 0)->budget, BudgetParams{});
    EXPECT_EQ(parse_budget(20'000, 100'000)->budget, kFifth);
    EXPECT_EQ(parse_budget(100, 100)->fields, abi::kFieldBudget);
    EXPECT_TRUE(parse_budget(1'000'000, 1'000'000).ok());
    for (const auto& [runtime, period] : {std::pair{99L, 1000L},
                                          {100L, 99L},
                                          {0L, 100L},
                                          {100L, 0L},
                                          {100L, 1'000'001L},
                                          {-1L, 100L},
                                          {100L, -1L},
                                          {-1L, -1L},
                                          {1L << 32, 1L << 33}}) {
        EXPECT_EQ(error_of(parse_budget(runtime, period)), Error::InvalidArgument)
            << runtime << ' ' << period;
    }
}

TEST(IsWithin, NothingThatRunsWithinTheTighterExceedsTheLooser) {
    EXPECT_TRUE(is_within(kFifth, kFifth));
    EXPECT_TRUE(is_within({.runtime = 10_ms, .period = 100_ms}, kFifth));
    EXPECT_TRUE(is_within({.runtime = 20_ms, .period = 200_ms}, kFifth));
    EXPECT_TRUE(is_within({.runtime = 10_ms, .period = 50_ms}, kFifth));   // two windows of it
    EXPECT_FALSE(is_within({.runtime = 12_ms, .period = 60_ms}, kFifth));  // the same rate, but 24 ms in 100
    EXPECT_FALSE(is_within({.runtime = 21_ms, .period = 1_s}, kFifth));
    EXPECT_FALSE(is_within({.runtime = 20_ms, .period = 99_ms}, kFifth));
    EXPECT_TRUE(is_within(kFifth, {}));
    EXPECT_TRUE(is_within({}, {}));
    EXPECT_FALSE(is_within({}, kFifth));
}

TEST(ApplyBudget, ATaskMayCapItselfAndThinkBetterOfIt) {
    const auto capped = apply(make(Normal), budget_change(20_ms, 100_ms), authority(false));
    ASSERT_TRUE(capped.ok());
    EXPECT_EQ(capped->budget, kFifth);
    EXPECT_FALSE(capped->budget_imposed);
    EXPECT_EQ(apply(*capped, budget_change(50_ms, 100_ms), authority(false))->budget.runtime, 50_ms);
    EXPECT_FALSE(apply(*capped, budget_change(0_ms, 0_ms), authority(false))->budget.is_capped());
}

TEST(ApplyBudget, AnImposedOneIsOnlyTightened) {
    const Attributes imposed = *apply(make(Normal), budget_change(20_ms, 100_ms), authority(true));
    EXPECT_TRUE(imposed.budget_imposed);
    EXPECT_EQ(error_of(apply(imposed, budget_change(0_ms, 0_ms), authority(false))), Error::NotPermitted);
    EXPECT_EQ(error_of(apply(imposed, budget_change(21_ms, 100_ms), authority(false))), Error::NotPermitted);
    EXPECT_EQ(error_of(apply(imposed, budget_change(20_ms, 90_ms), authority(false))), Error::NotPermitted);
    const auto tighter = apply(imposed, budget_change(5_ms, 100_ms), authority(false));
    ASSERT_TRUE(tighter.ok());
    EXPECT_TRUE(tighter->budget_imposed);  // and stays imposed
    EXPECT_EQ(error_of(apply(*tighter, budget_change(20_ms, 100_ms), authority(false))), Error::NotPermitted);
    const auto removed = apply(imposed, budget_change(0_ms, 0_ms), authority(true));
    ASSERT_TRUE(removed.ok());
    EXPECT_FALSE(removed->budget_imposed);
}

TEST(ApplyBudget, NobodyLeavesAnImposedBudgetByTheFlag) {
    Attributes imposed = *apply(make(Normal), budget_change(20_ms, 100_ms), authority(true));
    imposed.flags = abi::kAttrInheritBudget;
    const Change drop{.fields = abi::kFieldFlags, .flags = 0};
    EXPECT_EQ(error_of(apply(imposed, drop, authority(false))), Error::NotPermitted);
    EXPECT_TRUE(apply(imposed, drop, authority(true)).ok());
    imposed.budget_imposed = false;
    EXPECT_TRUE(apply(imposed, drop, authority(false)).ok());
}

TEST(InheritBudget, SpawnedChildrenOnlyWithTheFlag) {
    Attributes parent = make(Normal);
    parent.budget = kFifth;
    parent.budget_imposed = true;
    const Attributes without = kernel::sched::inherit_for_spawn(parent, {}, CpuMask::first(1));
    EXPECT_FALSE(without.budget.is_capped() || without.budget_imposed || without.budget_shared);
    parent.flags = abi::kAttrInheritBudget;
    const Attributes with = kernel::sched::inherit_for_spawn(parent, {}, CpuMask::first(1));
    EXPECT_EQ(with.budget, kFifth);
    EXPECT_TRUE(with.budget_shared && with.budget_imposed);
    // Not the child's to change, however tight.
    EXPECT_EQ(error_of(apply(with, budget_change(1_ms, 100_ms), authority(false))), Error::NotPermitted);
    EXPECT_FALSE(apply(with, budget_change(1_ms, 100_ms), authority(true))->budget_shared);
}

TEST(InheritBudget, ThreadsAlsoWhenItIsImposed) {
    Attributes parent = make(Normal);
    parent.budget = kFifth;
    EXPECT_FALSE(kernel::sched::inherit_for_thread(parent).budget.is_capped());
    parent.budget_imposed = true;
    EXPECT_TRUE(kernel::sched::inherit_for_thread(parent).budget_shared);
    EXPECT_EQ(kernel::sched::inherit_for_thread(parent).budget, kFifth);
    parent.budget = {};
    parent.budget_imposed = false;
    parent.flags = abi::kAttrInheritBudget;
    EXPECT_FALSE(kernel::sched::inherit_for_thread(parent).budget_shared);  // there is none to share
}

class LimitsOf : public testing::Test {
  protected:
    LimitsOf() {
        attr.size = sizeof(attr);
        attr.fields = abi::kFieldClass | abi::kFieldShares | abi::kFieldAffinity | abi::kFieldGroup;
        attr.qos_class = 1;
        attr.shares = 200;
        attr.affinity = 0b0110;
        attr.group = 50;
    }
    abi::sched_attr attr{};
};

TEST_F(LimitsOf, LowerWhatIsThereAtOnce) {
    const Attributes before = make(PerfBurst, 900, CpuMask::from_bits(0b0011));
    const auto next = apply_limits(before, *parse_limits(attr), authority(true));
    ASSERT_TRUE(next.ok());
    EXPECT_EQ(next->limits, (Limits{.class_ceiling = Normal,
                                    .shares_ceiling = 200,
                                    .affinity_limit = CpuMask::from_bits(0b0110),
                                    .group_ceiling = 50}));
    EXPECT_EQ(next->attributes.qos_class, Normal);
    EXPECT_EQ(next->attributes.shares, 200U);
    EXPECT_EQ(next->attributes.affinity.bits(), 0b0011U);  // as asked, for a wider limit to come
    EXPECT_EQ(next->attributes.affinity_effective.bits(), 0b0010U);
    EXPECT_FALSE(next->attributes.affinity_broken);
}

// Each by itself, from limits that are none of a task's first ones.
TEST_F(LimitsOf, WhatIsNamedIsKeptAndTheRestStays) {
    const Limits before{.class_ceiling = PerfBurst,
                        .shares_ceiling = 700,
                        .affinity_limit = CpuMask::from_bits(0b1111),
                        .group_ceiling = 30};
    const auto limited = [&](std::uint64_t field) {
        attr.fields = field;
        return apply_limits(make(Normal), *parse_limits(attr), authority(true, before))->limits;
    };
    Limits after = before;
    after.class_ceiling = Normal;
    EXPECT_EQ(limited(abi::kFieldClass), after);
    after = before;
    after.shares_ceiling = 200;
    EXPECT_EQ(limited(abi::kFieldShares), after);
    after = before;
    after.affinity_limit = CpuMask::from_bits(0b0110);
    EXPECT_EQ(limited(abi::kFieldAffinity), after);
    after = before;
    after.group_ceiling = 50;
    EXPECT_EQ(limited(abi::kFieldGroup), after);
}

TEST_F(LimitsOf, NeverRaise) {
    const Attributes before = make(Idle, 10);
    const auto next = apply_limits(before, *parse_limits(attr), authority(true));
    EXPECT_EQ(next->attributes.qos_class, Idle);
    EXPECT_EQ(next->attributes.shares, 10U);
}

TEST_F(LimitsOf, AMaskOutsideTheLimitIsReplaced) {
    attr.fields = abi::kFieldAffinity;
    const Attributes before = make(Normal, 100, CpuMask::from_bits(0b1001));
    const auto next = apply_limits(before, *parse_limits(attr), authority(true));
    ASSERT_TRUE(next.ok());
    EXPECT_EQ(next->attributes.affinity_effective.bits(), 0b0110U);
    EXPECT_TRUE(next->attributes.affinity_broken);
    EXPECT_EQ(next->limits.class_ceiling, Limits{}.class_ceiling);  // what is not named stays
}

TEST_F(LimitsOf, ErrorsComeInOrder) {
    attr.affinity = 0b1'0000;  // no online hart
    EXPECT_EQ(error_of(apply_limits(make(Normal), *parse_limits(attr), authority(false))),
              Error::NotPermitted);
    EXPECT_EQ(error_of(apply_limits(make(Normal), *parse_limits(attr), authority(true))),
              Error::InvalidArgument);
}

TEST_F(LimitsOf, EachMalformedFormIsAnError) {
    const abi::sched_attr good = attr;
    const auto bad = [&](auto&& spoil) {
        attr = good;
        spoil(attr);
        return error_of(parse_limits(attr));
    };
    using A = abi::sched_attr;
    EXPECT_EQ(bad([](A&) {}), Error{});
    EXPECT_EQ(bad([](A& a) { a.size = sizeof(A) - 1; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.fields = 0; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.fields |= abi::kFieldLatency; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.flags = abi::kAttrClamp; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.qos_class = 4; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.shares = 0; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.shares = 1001; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.group = 1001; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.group = 0; }), Error{});  // no group ceiling
    EXPECT_EQ(bad([](A& a) { a.reserved[1] = 1; }), Error::InvalidArgument);
}

TEST_F(LimitsOf, ChildrenHaveTheGroupToo) {
    const Limits parent{.class_ceiling = Interactive, .shares_ceiling = 300, .group_ceiling = 70};
    EXPECT_EQ(kernel::sched::limits_for_spawn(parent, make(Normal)).group_ceiling, 70U);
}

}  // namespace
}  // namespace sched_test
