// SPDX-License-Identifier: MIT
// Who may set what: every combination of fields, rights, locks and ceilings that a few values make, beside
// the rules of docs/abi.md written down one after the other.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "machine.hpp"
#include "sched/params.hpp"

namespace sched_test {
namespace {

namespace abi = nexus_abi;
using abi::AffinityPolicy;
using abi::Error;
using kernel::sched::apply;
using kernel::sched::apply_limits;
using kernel::sched::Authority;
using kernel::sched::BudgetParams;
using kernel::sched::Change;
using kernel::sched::index_of;
using kernel::sched::Limits;
using kernel::sched::LimitsChange;
using enum QosClass;

class Dice {
  public:
    explicit Dice(std::uint64_t seed) : random_{seed} {}
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    bool flip() { return below(2) == 0; }
    template <class T, std::size_t n>
    T one_of(const std::array<T, n>& values) {
        return values[below(n)];
    }
    QosClass any_class() { return kernel::sched::class_at(below(4)); }
    CpuMask mask() { return CpuMask::from_bits(below(16)); }
    // Some of which are within each other, some just not.
    BudgetParams budget() {
        return one_of(std::array{
            BudgetParams{}, BudgetParams{.runtime = 2_ms, .period = 10_ms},
            BudgetParams{.runtime = 2_ms, .period = 9_ms}, BudgetParams{.runtime = 2_ms, .period = 11_ms},
            BudgetParams{.runtime = 1_ms, .period = 5_ms}, BudgetParams{.runtime = 1_ms, .period = 4_ms}});
    }
    std::uint64_t fields(const std::vector<std::uint64_t>& all) {
        std::uint64_t fields = 0;
        for (const std::uint64_t field : all) {
            fields |= below(3) == 0 ? field : 0;
        }
        return fields;
    }
    Attributes attributes() {
        Attributes attributes;
        attributes.qos_class = any_class();
        attributes.shares = one_of(std::array{99U, 100U, 101U, 500U});
        attributes.latency = one_of(std::array{0_ms, 3_ms});
        attributes.burst = one_of(std::array{0_ms, 7_ms});
        attributes.affinity = mask();
        attributes.affinity_effective = mask();
        attributes.affinity_prefer = mask();
        attributes.policy = one_of(std::array{AffinityPolicy::Pin, AffinityPolicy::Prefer,
                                              AffinityPolicy::Perf, AffinityPolicy::Eff});
        attributes.flags = one_of(std::array{0U, abi::kAttrInheritBudget, abi::kAttrResetOnSpawn,
                                             abi::kAttrInheritBudget | abi::kAttrResetOnSpawn});
        attributes.budget = budget();
        attributes.budget_imposed = attributes.budget.is_capped() && flip();
        attributes.budget_shared = attributes.budget.is_capped() && flip();
        attributes.affinity_broken = flip();
        return attributes;
    }
    Limits limits() {
        return {.class_ceiling = any_class(),
                .shares_ceiling = one_of(std::array{99U, 100U, 101U, 1000U}),
                .affinity_limit = mask(),
                .group_ceiling = one_of(std::array{0U, 1U, 50U, 51U})};
    }
    Authority authority() {
        return {.limits = limits(),
                .online = CpuMask::from_bits(1 + below(15)),
                .privileged = flip(),
                .group_ceiling = one_of(std::array{0U, 1U, 50U}),
                .ceilings_locked = flip(),
                .perfburst_locked = flip()};
    }

  private:
    std::mt19937_64 random_;
};

bool has(std::uint64_t fields, std::uint64_t field) {
    return (fields & field) == field;
}
bool is_empty(CpuMask mask) {
    return mask.bits() == 0;
}

// Nothing that ran within `mine` exceeds `imposed`: of the windows of length P that fit together into one of
// P', each may be used up.
bool is_no_looser(const BudgetParams& mine, const BudgetParams& imposed) {
    if (imposed.period.is_zero()) {
        return true;
    }
    if (mine.period.is_zero()) {
        return false;
    }
    Duration used = mine.runtime;
    for (Duration at = mine.period; at < imposed.period; at += mine.period) {
        used += mine.runtime;
    }
    return used <= imposed.runtime;
}

std::optional<Error> refusal(const Attributes& current, const Change& change, const Authority& by) {
    const CpuMask usable = by.limits.affinity_limit & by.online;
    const bool is_bound = by.ceilings_locked || !by.privileged;
    const bool prefers =
        (has(change.fields, abi::kFieldPolicy) ? change.policy : current.policy) == AffinityPolicy::Prefer;
    if (has(change.fields, abi::kFieldGroup) && change.group_ceiling != 0 &&
        change.group_ceiling != by.group_ceiling) {
        return Error::InvalidArgument;
    }
    if (has(change.fields, abi::kFieldAffinity) && is_empty(change.affinity & usable)) {
        return Error::InvalidArgument;
    }
    if (has(change.fields, abi::kFieldPrefer) && prefers && is_empty(change.affinity_prefer & usable)) {
        return Error::InvalidArgument;
    }
    if (has(change.fields, abi::kFieldClass)) {
        if (is_bound && index_of(change.qos_class) > index_of(by.limits.class_ceiling)) {
            return Error::NotPermitted;
        }
        if (by.perfburst_locked && change.qos_class == PerfBurst && current.qos_class != PerfBurst) {
            return Error::NotPermitted;
        }
    }
    if (has(change.fields, abi::kFieldShares) && is_bound && change.shares > by.limits.shares_ceiling) {
        return Error::NotPermitted;
    }
    if (by.privileged) {
        return std::nullopt;
    }
    if (has(change.fields, abi::kFieldFlags) && current.budget_imposed &&
        has(current.flags, abi::kAttrInheritBudget) && !has(change.flags, abi::kAttrInheritBudget)) {
        return Error::NotPermitted;
    }
    if (has(change.fields, abi::kFieldBudget) &&
        (current.budget_shared || (current.budget_imposed && !is_no_looser(change.budget, current.budget)))) {
        return Error::NotPermitted;
    }
    return std::nullopt;
}

Attributes changed(const Attributes& current, const Change& change, const Authority& by) {
    Attributes next = current;
    if (has(change.fields, abi::kFieldClass)) {
        next.qos_class = change.qos_class;
    }
    if (has(change.fields, abi::kFieldShares)) {
        next.shares = change.shares;
    }
    if (has(change.fields, abi::kFieldLatency)) {
        next.latency = change.latency;
    }
    if (has(change.fields, abi::kFieldBurst)) {
        next.burst = change.burst;
    }
    if (has(change.fields, abi::kFieldAffinity)) {
        next.affinity = change.affinity;
        next.affinity_effective = change.affinity & by.limits.affinity_limit & by.online;
        next.affinity_broken = false;
    }
    if (has(change.fields, abi::kFieldPrefer)) {
        next.affinity_prefer = change.affinity_prefer;
    }
    if (has(change.fields, abi::kFieldPolicy)) {
        next.policy = change.policy;
    }
    if (has(change.fields, abi::kFieldFlags)) {
        next.flags = change.flags;
    }
    if (has(change.fields, abi::kFieldBudget)) {
        next.budget = change.budget;
        next.budget_shared = false;
        next.budget_imposed =
            !change.budget.period.is_zero() && (by.privileged ? true : current.budget_imposed);
    }
    return next;
}

TEST(Authority, OfEveryChangeOfAttributes) {
    Dice dice{1};
    std::uint32_t refused = 0;
    for (int i = 0; i < 100'000; ++i) {
        const Attributes current = dice.attributes();
        const Authority by = dice.authority();
        const Attributes wanted = dice.attributes();
        const Change change{
            .fields = dice.fields({abi::kFieldClass, abi::kFieldShares, abi::kFieldLatency, abi::kFieldBurst,
                                   abi::kFieldAffinity, abi::kFieldPrefer, abi::kFieldPolicy,
                                   abi::kFieldFlags, abi::kFieldBudget, abi::kFieldGroup}),
            .qos_class = wanted.qos_class,
            .shares = wanted.shares,
            .latency = wanted.latency,
            .burst = wanted.burst,
            .affinity = wanted.affinity,
            .affinity_prefer = wanted.affinity_prefer,
            .policy = wanted.policy,
            .flags = wanted.flags,
            .budget = wanted.budget,
            .group_ceiling = dice.one_of(std::array{0U, 1U, 50U, 51U})};
        const auto found = apply(current, change, by);
        const std::optional<Error> error = refusal(current, change, by);
        ASSERT_EQ(found.ok(), !error) << i;
        if (error) {
            ++refused;
            ASSERT_EQ(found.error(), *error) << i;
        } else {
            ASSERT_EQ(*found, changed(current, change, by)) << i;
        }
    }
    EXPECT_GT(refused, 20'000U);
    EXPECT_LT(refused, 80'000U);
}

// --- Ceilings ---

// A locked ceiling only comes down; of a group's 0 is the highest.
bool is_lifted(const LimitsChange& change, const Limits& limits) {
    const auto height = [](std::uint32_t group) { return group == 0 ? 1U << 20U : group; };
    return (has(change.fields, abi::kFieldClass) &&
            index_of(change.class_ceiling) > index_of(limits.class_ceiling)) ||
           (has(change.fields, abi::kFieldShares) && change.shares_ceiling > limits.shares_ceiling) ||
           (has(change.fields, abi::kFieldAffinity) &&
            (change.affinity_limit.bits() & ~limits.affinity_limit.bits()) != 0) ||
           (has(change.fields, abi::kFieldGroup) &&
            height(change.group_ceiling) > height(limits.group_ceiling));
}

TEST(Authority, OfEveryChangeOfLimits) {
    Dice dice{2};
    std::uint32_t refused = 0;
    for (int i = 0; i < 100'000; ++i) {
        const Attributes current = dice.attributes();
        Authority by = dice.authority();
        by.privileged = dice.below(8) != 0;
        const Limits wanted = dice.limits();
        const LimitsChange change{.fields = dice.fields({abi::kFieldClass, abi::kFieldShares,
                                                         abi::kFieldAffinity, abi::kFieldGroup}),
                                  .class_ceiling = wanted.class_ceiling,
                                  .shares_ceiling = wanted.shares_ceiling,
                                  .affinity_limit = wanted.affinity_limit,
                                  .group_ceiling = wanted.group_ceiling};
        std::optional<Error> error;
        if (!by.privileged || (by.ceilings_locked && is_lifted(change, by.limits))) {
            error = Error::NotPermitted;
        } else if (has(change.fields, abi::kFieldAffinity) && is_empty(change.affinity_limit & by.online)) {
            error = Error::InvalidArgument;
        }
        const auto found = apply_limits(current, change, by);
        ASSERT_EQ(found.ok(), !error) << i;
        if (error) {
            ++refused;
            ASSERT_EQ(found.error(), *error) << i;
            continue;
        }
        Limits limits = by.limits;
        Attributes next = current;
        if (has(change.fields, abi::kFieldClass)) {
            limits.class_ceiling = change.class_ceiling;
            next.qos_class = index_of(current.qos_class) > index_of(change.class_ceiling)
                                 ? change.class_ceiling
                                 : current.qos_class;
        }
        if (has(change.fields, abi::kFieldShares)) {
            limits.shares_ceiling = change.shares_ceiling;
            next.shares = std::min(current.shares, change.shares_ceiling);
        }
        if (has(change.fields, abi::kFieldAffinity)) {
            limits.affinity_limit = change.affinity_limit;
            const CpuMask usable = change.affinity_limit & by.online;
            next.affinity_broken = is_empty(current.affinity & usable);
            next.affinity_effective = next.affinity_broken ? usable : current.affinity & usable;
        }
        if (has(change.fields, abi::kFieldGroup)) {
            limits.group_ceiling = change.group_ceiling;
        }
        ASSERT_EQ(found->limits, limits) << i;
        ASSERT_EQ(found->attributes, next) << i;
    }
    EXPECT_GT(refused, 20'000U);
    EXPECT_LT(refused, 80'000U);
}

// The ends of each range, and what lies next to them.
TEST(Authority, LimitsHaveRanges) {
    abi::sched_attr attr{};
    attr.size = sizeof attr;
    const auto parses = [&](std::uint64_t field) {
        attr.fields = field;
        return kernel::sched::parse_limits(attr).ok();
    };
    for (std::uint32_t value = 0; value <= 1100; ++value) {
        attr.shares = attr.group = attr.qos_class = value;
        attr.affinity = value;
        EXPECT_EQ(parses(abi::kFieldShares), value >= 1 && value <= 1000) << value;
        EXPECT_EQ(parses(abi::kFieldGroup), value <= 1000) << value;
        EXPECT_EQ(parses(abi::kFieldClass), value <= 3) << value;
        EXPECT_TRUE(parses(abi::kFieldAffinity)) << value;
        EXPECT_FALSE(parses(0)) << value;
    }
    attr.shares = 500;
    attr.group = 501;
    attr.qos_class = 2;
    attr.affinity = 7;
    for (std::uint64_t set = 1; set < 16; ++set) {
        attr.fields = ((set & 1U) != 0 ? abi::kFieldShares : 0) | ((set & 2U) != 0 ? abi::kFieldGroup : 0) |
                      ((set & 4U) != 0 ? abi::kFieldClass : 0) | ((set & 8U) != 0 ? abi::kFieldAffinity : 0);
        const auto change = kernel::sched::parse_limits(attr);
        ASSERT_TRUE(change.ok());
        EXPECT_EQ(change->fields, attr.fields);
        EXPECT_EQ(change->shares_ceiling, (set & 1U) != 0 ? 500U : 0U);
        EXPECT_EQ(change->group_ceiling, (set & 2U) != 0 ? 501U : 0U);
        EXPECT_EQ(change->class_ceiling, (set & 4U) != 0 ? Interactive : QosClass{});
        EXPECT_EQ(change->affinity_limit.bits(), (set & 8U) != 0 ? 7U : 0U);
    }
}

TEST(Authority, LimitsAreToldToTheLastByte) {
    Dice dice{3};
    for (int i = 0; i < 1000; ++i) {
        const Authority by = dice.authority();
        abi::sched_attr expected{};
        expected.size = sizeof expected;
        expected.fields = abi::kFieldClass | abi::kFieldShares | abi::kFieldAffinity | abi::kFieldGroup;
        expected.qos_class = static_cast<std::uint32_t>(index_of(by.limits.class_ceiling));
        expected.shares = by.limits.shares_ceiling;
        expected.affinity = by.limits.affinity_limit.bits();
        expected.group = by.group_ceiling;
        expected.effective_affinity = by.limits.affinity_limit.bits() & by.online.bits();
        abi::sched_attr found;
        std::memset(&found, 0xa5, sizeof found);
        kernel::sched::fill_limits(by, found);
        ASSERT_EQ(std::memcmp(&found, &expected, sizeof found), 0) << i;
    }
}

// --- Children ---

TEST(Authority, WhatChildrenStartWith) {
    Dice dice{4};
    for (int i = 0; i < 100'000; ++i) {
        const Attributes parent = dice.attributes();
        const Limits limits = dice.limits();
        const CpuMask online = CpuMask::from_bits(1 + dice.below(15));
        const bool inherits = has(parent.flags, abi::kAttrInheritBudget);
        const auto with_budget = [&](Attributes child, bool is_shared) {
            if (is_shared && !parent.budget.period.is_zero()) {
                child.budget_shared = true;
            } else {
                child.budget = BudgetParams{};
                child.budget_imposed = child.budget_shared = false;
            }
            return child;
        };
        ASSERT_EQ(kernel::sched::inherit_for_thread(parent),
                  with_budget(parent, inherits || parent.budget_imposed))
            << i;
        Attributes child = with_budget(parent, inherits);
        child.latency = child.burst = 0_ms;
        if (parent.qos_class == PerfBurst) {
            child.qos_class = Interactive;
        }
        if (has(parent.flags, abi::kAttrResetOnSpawn)) {
            child.qos_class = parent.qos_class == Idle ? Idle : Normal;
            child.shares = std::min(parent.shares, 100U);
            child.affinity = limits.affinity_limit;
            child.affinity_prefer = CpuMask{};
            child.policy = AffinityPolicy::Pin;
            const CpuMask usable = limits.affinity_limit & online;
            child.affinity_broken = is_empty(usable);
            child.affinity_effective = child.affinity_broken ? online : usable;
        }
        ASSERT_EQ(kernel::sched::inherit_for_spawn(parent, limits, online), child) << i;
        const Limits its = kernel::sched::limits_for_spawn(limits, child);
        ASSERT_EQ(its, (Limits{.class_ceiling = child.qos_class,
                               .shares_ceiling = std::max(limits.shares_ceiling, child.shares),
                               .affinity_limit = limits.affinity_limit,
                               .group_ceiling = limits.group_ceiling}))
            << i;
    }
}

// --- What comes in and goes out ---

// Every field by itself and with others comes through as it is, and no other does.
TEST(Authority, EveryNamedFieldIsParsed) {
    Dice dice{5};
    for (int i = 0; i < 20'000; ++i) {
        const Attributes wanted = dice.attributes();
        abi::sched_attr attr{};
        attr.size = sizeof attr;
        attr.fields = dice.fields({abi::kFieldClass, abi::kFieldShares, abi::kFieldLatency, abi::kFieldBurst,
                                   abi::kFieldAffinity, abi::kFieldPrefer, abi::kFieldPolicy,
                                   abi::kFieldFlags, abi::kFieldBudget, abi::kFieldGroup});
        attr.flags = wanted.flags | (dice.flip() ? abi::kAttrClamp : 0);
        attr.qos_class = static_cast<std::uint32_t>(index_of(wanted.qos_class));
        attr.shares = wanted.shares;
        attr.latency_ns = static_cast<std::uint64_t>(wanted.latency.ns());
        attr.burst_ns = static_cast<std::uint64_t>(wanted.burst.ns());
        attr.affinity = wanted.affinity.bits();
        attr.affinity_prefer = wanted.affinity_prefer.bits();
        attr.affinity_policy = static_cast<std::uint32_t>(wanted.policy);
        attr.budget_ns = static_cast<std::uint64_t>(wanted.budget.runtime.ns());
        attr.period_ns = static_cast<std::uint64_t>(wanted.budget.period.ns());
        attr.group = dice.one_of(std::array{0U, 1U, 1000U});
        const auto found = kernel::sched::parse_attr(attr);
        ASSERT_TRUE(found.ok()) << i;
        const Authority admin{.limits = {}, .online = CpuMask::first(4), .privileged = true};
        ASSERT_EQ(found->fields, attr.fields);
        Change change{.fields = attr.fields & ~abi::kFieldGroup,
                      .qos_class = wanted.qos_class,
                      .shares = wanted.shares,
                      .latency = wanted.latency,
                      .burst = wanted.burst,
                      .affinity = wanted.affinity,
                      .affinity_prefer = wanted.affinity_prefer,
                      .policy = wanted.policy,
                      .flags = wanted.flags,
                      .budget = wanted.budget};
        Change without_group = *found;
        without_group.fields = change.fields;
        ASSERT_EQ(found->group_ceiling, has(attr.fields, abi::kFieldGroup) ? attr.group : 0U);
        const auto one = apply(make(Normal), without_group, admin);
        const auto other = apply(make(Normal), change, admin);
        ASSERT_EQ(one.ok(), other.ok()) << i;
        if (one.ok()) {
            ASSERT_EQ(*one, *other) << i;
        }
    }
}

}  // namespace
}  // namespace sched_test
