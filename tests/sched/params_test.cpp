// SPDX-License-Identifier: MIT
// Every rule and every errno of the scheduler's setters, and what children and threads take over.
#include "sched/params.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <limits>

#include "machine.hpp"

namespace sched_test {
namespace {

namespace abi = nexus_abi;
using abi::AffinityPolicy;
using abi::Error;
using kernel::Result;
using kernel::sched::apply;
using kernel::sched::Authority;
using kernel::sched::Change;
using kernel::sched::Limits;
using enum QosClass;

constexpr std::int64_t kTooBig = std::int64_t{std::numeric_limits<std::int32_t>::max()} + 1;

template <class T>
Error error_of(const Result<T>& result) {
    return result.ok() ? Error{} : result.error();
}

// The first step has to succeed.
Change checked(const Result<Change>& change) {
    EXPECT_TRUE(change.ok());
    return change.value_or(Change{});
}

Authority authority(Limits limits = {}, CpuMask online = CpuMask::first(4), bool privileged = false) {
    return {.limits = limits, .online = online, .privileged = privileged};
}

TEST(ParseScalar, NegativeAndHugeAreErrorsBeforeClamping) {
    using kernel::sched::parse_burst_ms;
    using kernel::sched::parse_class;
    using kernel::sched::parse_latency_ms;
    using kernel::sched::parse_shares;
    for (const std::int64_t value : {std::int64_t{-1}, kTooBig, std::numeric_limits<std::int64_t>::min(),
                                     std::numeric_limits<std::int64_t>::max()}) {
        EXPECT_EQ(error_of(parse_class(value)), Error::InvalidArgument);
        EXPECT_EQ(error_of(parse_shares(value)), Error::InvalidArgument);
        EXPECT_EQ(error_of(parse_latency_ms(value)), Error::InvalidArgument);
        EXPECT_EQ(error_of(parse_burst_ms(value)), Error::InvalidArgument);
    }
}

TEST(ParseClass, ZeroToThreeAndNothingElse) {
    for (std::int64_t value = 0; value <= 3; ++value) {
        const auto change = checked(kernel::sched::parse_class(value));
        EXPECT_EQ(static_cast<std::int64_t>(change.qos_class), value);
        EXPECT_EQ(change.fields, abi::kFieldClass);
    }
    EXPECT_EQ(error_of(kernel::sched::parse_class(4)), Error::InvalidArgument);
}

TEST(ParseShares, Clamps) {
    constexpr std::array<std::array<std::int64_t, 2>, 6> kTable{
        {{0, 1}, {1, 1}, {100, 100}, {1000, 1000}, {1001, 1000}, {kTooBig - 1, 1000}}};
    for (const auto& [asked, applied] : kTable) {
        EXPECT_EQ(checked(kernel::sched::parse_shares(asked)).shares, applied);
    }
}

TEST(ParseHints, Clamp) {
    EXPECT_EQ(checked(kernel::sched::parse_latency_ms(0)).latency, 0_ms);
    EXPECT_EQ(checked(kernel::sched::parse_latency_ms(1000)).latency, 1000_ms);
    EXPECT_EQ(checked(kernel::sched::parse_latency_ms(1001)).latency, 1000_ms);
    EXPECT_EQ(checked(kernel::sched::parse_burst_ms(0)).burst, 0_ms);
    EXPECT_EQ(checked(kernel::sched::parse_burst_ms(50)).burst, 50_ms);
    EXPECT_EQ(checked(kernel::sched::parse_burst_ms(51)).burst, 50_ms);
}

TEST(ApplyClass, UpToTheCeilingUnlessPrivileged) {
    const Limits limits{.class_ceiling = Normal};
    const Attributes current = make(Idle);
    const Change up = checked(kernel::sched::parse_class(2));
    EXPECT_EQ(error_of(apply(current, up, authority(limits))), Error::NotPermitted);
    EXPECT_EQ(apply(current, up, authority(limits, CpuMask::first(4), true)).value_or({}).qos_class,
              Interactive);
    const Change back = checked(kernel::sched::parse_class(1));
    EXPECT_EQ(apply(current, back, authority(limits)).value_or({}).qos_class, Normal);
    const Change down = checked(kernel::sched::parse_class(0));
    EXPECT_EQ(apply(make(Normal), down, authority(limits)).value_or(make(PerfBurst)).qos_class, Idle);
}

TEST(ApplyShares, UpToTheCeilingUnlessPrivileged) {
    const Limits limits{.class_ceiling = Normal, .shares_ceiling = 200};
    const Change more = checked(kernel::sched::parse_shares(201));
    EXPECT_EQ(error_of(apply(make(Normal), more, authority(limits))), Error::NotPermitted);
    EXPECT_EQ(apply(make(Normal), more, authority(limits, CpuMask::first(4), true)).value_or({}).shares,
              201U);
    const Change exact = checked(kernel::sched::parse_shares(200));
    EXPECT_EQ(apply(make(Normal), exact, authority(limits)).value_or({}).shares, 200U);
}

TEST(ApplyAffinity, KeepsWhatWasAskedAndUsesWhatThereIs) {
    const Authority three = authority({}, CpuMask::first(3));
    const auto next = apply(make(Normal), kernel::sched::parse_affinity(0xff), three).value_or({});
    EXPECT_EQ(next.affinity.bits(), 0xffU);
    EXPECT_EQ(next.affinity_effective.bits(), 0x7U);
}

TEST(ApplyAffinity, AMaskWithoutAUsableHartChangesNothing) {
    const Limits limits{.affinity_limit = CpuMask::from_bits(0b0110)};
    for (const std::uint64_t mask : {0b0000U, 0b1000U, 0b0001U, 0b1001U}) {
        // 1000: not online. 0001: beyond the limit. The limit binds the privileged too.
        for (const bool privileged : {false, true}) {
            const Authority who = authority(limits, CpuMask::first(3), privileged);
            EXPECT_EQ(error_of(apply(make(Normal), kernel::sched::parse_affinity(mask), who)),
                      Error::InvalidArgument);
        }
    }
}

TEST(ApplyPolicy, PinAndPrefer) {
    const auto parse = kernel::sched::parse_affinity_policy;
    const auto pin = apply(make(Normal), checked(parse(0b10, 0)), authority()).value_or({});
    EXPECT_EQ(pin.policy, AffinityPolicy::Pin);
    EXPECT_EQ(pin.affinity_effective.bits(), 0b10U);
    const auto prefer = apply(make(Normal), checked(parse(0b10, 1)), authority()).value_or({});
    EXPECT_EQ(prefer.policy, AffinityPolicy::Prefer);
    EXPECT_EQ(prefer.affinity_prefer.bits(), 0b10U);
    EXPECT_EQ(prefer.affinity_effective, CpuMask::all());  // the limit stays
    EXPECT_EQ(error_of(apply(make(Normal), checked(parse(0b10000, 1)), authority())), Error::InvalidArgument);
    EXPECT_EQ(checked(parse(1, 2)).policy, AffinityPolicy::Perf);
    EXPECT_EQ(checked(parse(1, 3)).policy, AffinityPolicy::Eff);
    EXPECT_EQ(error_of(parse(1, 4)), Error::InvalidArgument);
    EXPECT_EQ(error_of(parse(1, ~std::uint64_t{0})), Error::InvalidArgument);
}

class Attr : public testing::Test {
  protected:
    Attr() {
        attr.size = sizeof(attr);
        attr.fields = abi::kFieldClass | abi::kFieldShares | abi::kFieldLatency | abi::kFieldBurst |
                      abi::kFieldAffinity;
        attr.qos_class = 1;
        attr.shares = 300;
        attr.latency_ns = 5'000'000;
        attr.burst_ns = 2'000'000;
        attr.affinity = 0b11;
    }
    Error parse() { return error_of(kernel::sched::parse_attr(attr)); }
    abi::sched_attr attr{};
};

TEST_F(Attr, SetsAllNamedFields) {
    const auto next = apply(make(Idle), checked(kernel::sched::parse_attr(attr)), authority()).value_or({});
    EXPECT_EQ(next.qos_class, Normal);
    EXPECT_EQ(next.shares, 300U);
    EXPECT_EQ(next.latency, 5_ms);
    EXPECT_EQ(next.burst, 2_ms);
    EXPECT_EQ(next.affinity_effective.bits(), 0b11U);
}

TEST_F(Attr, IgnoresWhatIsNotNamed) {
    attr.fields = abi::kFieldShares;
    attr.qos_class = 77;
    attr.latency_ns = 1;
    attr.affinity = 0;
    const Attributes before = make(Idle, 100, CpuMask::first(2));
    Attributes expected = before;
    expected.shares = 300;
    EXPECT_EQ(apply(before, checked(kernel::sched::parse_attr(attr)), authority()).value_or({}), expected);
}

TEST_F(Attr, EachMalformedFormIsAnError) {
    const abi::sched_attr good = attr;
    const auto bad = [&](auto&& spoil) {
        attr = good;
        spoil(attr);
        return parse();
    };
    using A = abi::sched_attr;
    EXPECT_EQ(bad([](A& a) { a.size = sizeof(A) - 1; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.flags = abi::kAttrFlagsAll + 1; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.fields |= abi::kFieldsAll + 1; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.effective_class = 1; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.effective_shares = 1; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.effective_affinity = 1; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.reserved[0] = 1; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A& a) { a.reserved[1] = 1; }), Error::InvalidArgument);
    EXPECT_EQ(bad([](A&) {}), Error{});
}

// Value, without clamp, with clamp (0: an error).
struct Row {
    std::uint64_t asked;
    std::uint64_t strict;
    std::uint64_t clamped;
};
constexpr std::uint64_t kError = ~std::uint64_t{0};

TEST_F(Attr, SharesAndHintsAreStrictUnlessClamped) {
    const auto expect_row = [&](const Row& row, auto&& set, auto&& get) {
        set(row.asked);
        for (const bool clamp : {false, true}) {
            attr.flags = clamp ? abi::kAttrClamp : 0;
            const std::uint64_t expected = clamp ? row.clamped : row.strict;
            const auto change = kernel::sched::parse_attr(attr);
            if (expected == kError) {
                EXPECT_EQ(error_of(change), Error::InvalidArgument) << row.asked;
            } else {
                EXPECT_EQ(get(checked(change)), expected) << row.asked;
            }
        }
    };
    for (const Row& row : {Row{0, kError, 1}, Row{1, 1, 1}, Row{1000, 1000, 1000}, Row{1001, kError, 1000},
                           Row{0x7fff'ffff, kError, 1000}, Row{0x8000'0000, kError, kError}}) {
        expect_row(
            row, [&](std::uint64_t v) { attr.shares = static_cast<std::uint32_t>(v); },
            [](const Change& c) { return std::uint64_t{c.shares}; });
    }
    attr.shares = 100;
    for (const Row& row :
         {Row{0, 0, 0}, Row{1, kError, 100'000}, Row{100'000, 100'000, 100'000},
          Row{1'000'000'000, 1'000'000'000, 1'000'000'000}, Row{1'000'000'001, kError, 1'000'000'000},
          Row{std::uint64_t{1} << 63U, kError, kError}}) {
        expect_row(
            row, [&](std::uint64_t v) { attr.latency_ns = v; },
            [](const Change& c) { return static_cast<std::uint64_t>(c.latency.ns()); });
    }
    attr.latency_ns = 0;
    for (const Row& row :
         {Row{0, 0, 0}, Row{99'999, kError, 100'000}, Row{50'000'000, 50'000'000, 50'000'000},
          Row{50'000'001, kError, 50'000'000}, Row{~std::uint64_t{0}, kError, kError}}) {
        expect_row(
            row, [&](std::uint64_t v) { attr.burst_ns = v; },
            [](const Change& c) { return static_cast<std::uint64_t>(c.burst.ns()); });
    }
}

TEST_F(Attr, ClassesAreNeverClamped) {
    attr.flags = abi::kAttrClamp;
    attr.qos_class = 4;
    EXPECT_EQ(parse(), Error::InvalidArgument);
    attr.qos_class = 0xffff'ffff;
    EXPECT_EQ(parse(), Error::InvalidArgument);
}

TEST_F(Attr, BudgetsAreNeverClamped) {
    attr.fields = abi::kFieldBudget;
    attr.flags = abi::kAttrClamp;
    EXPECT_EQ(checked(kernel::sched::parse_attr(attr)).budget, kernel::sched::BudgetParams{});
    const auto parse_with = [&](std::uint64_t budget, std::uint64_t period) {
        attr.budget_ns = budget;
        attr.period_ns = period;
        return parse();
    };
    EXPECT_EQ(parse_with(20'000'000, 100'000'000), Error{});
    EXPECT_EQ(parse_with(100'000, 100'000), Error{});
    EXPECT_EQ(parse_with(1'000'000'000, 1'000'000'000), Error{});
    EXPECT_EQ(parse_with(20'000'000, 10'000'000), Error::InvalidArgument);  // more than the period
    EXPECT_EQ(parse_with(99'999, 1'000'000), Error::InvalidArgument);
    EXPECT_EQ(parse_with(1'000'000, 1'000'000'001), Error::InvalidArgument);
    EXPECT_EQ(parse_with(0, 1'000'000), Error::InvalidArgument);
    EXPECT_EQ(parse_with(1'000'000, 0), Error::InvalidArgument);
    EXPECT_EQ(parse_with(std::uint64_t{1} << 63U, ~std::uint64_t{0}), Error::InvalidArgument);
}

TEST_F(Attr, PoliciesAndGroups) {
    attr.fields = abi::kFieldPolicy;
    for (attr.affinity_policy = 0; attr.affinity_policy < 4; ++attr.affinity_policy) {
        EXPECT_EQ(static_cast<std::uint32_t>(checked(kernel::sched::parse_attr(attr)).policy),
                  attr.affinity_policy);
    }
    EXPECT_EQ(parse(), Error::InvalidArgument);
    attr.fields = abi::kFieldGroup;
    attr.group = abi::kSharesMax + 1;
    EXPECT_EQ(parse(), Error::InvalidArgument);
}

// Changing it is a matter of sched_set_limits.
TEST_F(Attr, AGroupMayBeNamedAsItIs) {
    const auto error_with = [&](std::uint32_t asked, std::uint32_t there) {
        attr.fields = abi::kFieldGroup;
        attr.group = asked;
        Authority who = authority({}, CpuMask::first(4), true);
        who.group_ceiling = there;
        return error_of(apply(make(Normal), checked(kernel::sched::parse_attr(attr)), who));
    };
    EXPECT_EQ(error_with(0, 0), Error{});
    EXPECT_EQ(error_with(0, 20), Error{});
    EXPECT_EQ(error_with(20, 20), Error{});
    EXPECT_EQ(error_with(19, 20), Error::InvalidArgument);
    EXPECT_EQ(error_with(21, 20), Error::InvalidArgument);
    EXPECT_EQ(error_with(1, 0), Error::InvalidArgument);
}

TEST_F(Attr, ErrorsComeInOrderAndChangeNothing) {
    const Limits limits{.class_ceiling = Normal, .shares_ceiling = 200};
    attr.qos_class = 2;     // above the ceiling
    attr.shares = 300;      // above the ceiling
    attr.affinity = 0x100;  // no usable hart
    EXPECT_EQ(error_of(apply(make(Normal), checked(kernel::sched::parse_attr(attr)), authority(limits))),
              Error::InvalidArgument);
    attr.affinity = 1;
    EXPECT_EQ(error_of(apply(make(Normal), checked(kernel::sched::parse_attr(attr)), authority(limits))),
              Error::NotPermitted);
    attr.qos_class = 1;
    EXPECT_EQ(error_of(apply(make(Normal), checked(kernel::sched::parse_attr(attr)), authority(limits))),
              Error::NotPermitted);
    attr.shares = 200;
    EXPECT_TRUE(apply(make(Normal), checked(kernel::sched::parse_attr(attr)), authority(limits)).ok());
}

Attributes parent_attributes() {
    Attributes parent = make(PerfBurst, 250, CpuMask::first(2));
    parent.latency = 2_ms;
    parent.burst = 8_ms;
    parent.affinity_prefer = CpuMask::from_bits(2);
    parent.policy = AffinityPolicy::Prefer;
    return parent;
}

TEST(Inherit, SpawnTakesClassSharesAndMasksButNoHints) {
    const Attributes parent = parent_attributes();
    const Attributes child = kernel::sched::inherit_for_spawn(parent, {}, CpuMask::first(4));
    Attributes expected = parent;
    expected.qos_class = Interactive;
    expected.latency = expected.burst = Duration{};
    EXPECT_EQ(child, expected);
}

TEST(Inherit, ThreadsAndForksTakeEverything) {
    EXPECT_EQ(kernel::sched::inherit_for_thread(parent_attributes()), parent_attributes());
}

TEST(Inherit, ResetOnSpawnStartsOverButNeverAboveTheParent) {
    Attributes parent = parent_attributes();
    parent.flags = abi::kAttrResetOnSpawn;
    const Limits limits{.affinity_limit = CpuMask::from_bits(0b1110)};
    const Attributes child = kernel::sched::inherit_for_spawn(parent, limits, CpuMask::first(3));
    EXPECT_EQ(child.qos_class, Normal);
    EXPECT_EQ(child.shares, 100U);
    EXPECT_EQ(child.affinity.bits(), 0b1110U);
    EXPECT_EQ(child.affinity_effective.bits(), 0b0110U);
    EXPECT_EQ(child.policy, AffinityPolicy::Pin);
    EXPECT_TRUE(child.affinity_prefer.empty());
    EXPECT_TRUE(child.latency.is_zero() && child.burst.is_zero());
    EXPECT_EQ(child.flags, abi::kAttrResetOnSpawn);  // the flag itself is inherited

    parent.qos_class = Idle;
    parent.shares = 40;
    const Attributes low = kernel::sched::inherit_for_spawn(parent, limits, CpuMask::first(3));
    EXPECT_EQ(low.qos_class, Idle);
    EXPECT_EQ(low.shares, 40U);
}

TEST(Inherit, AChildsClassCeilingIsItsClassAtBirth) {
    const Limits parent{
        .class_ceiling = PerfBurst, .shares_ceiling = 500, .affinity_limit = CpuMask::first(2)};
    const Limits child = kernel::sched::limits_for_spawn(parent, make(Normal, 100));
    EXPECT_EQ(child,
              (Limits{.class_ceiling = Normal, .shares_ceiling = 500, .affinity_limit = CpuMask::first(2)}));
    // Granted more by the right's holder: its own value is within its ceiling.
    EXPECT_EQ(kernel::sched::limits_for_spawn(parent, make(Normal, 800)).shares_ceiling, 800U);
}

TEST(Refit, FollowsTheOnlineHarts) {
    const Attributes pinned = make(Normal, 100, CpuMask::from_bits(0b1000));
    const auto fits = kernel::sched::refit_affinity(pinned, CpuMask::all(), CpuMask::first(4));
    EXPECT_FALSE(fits.broken);
    EXPECT_EQ(fits.attributes.affinity_effective.bits(), 0b1000U);
    const auto gone = kernel::sched::refit_affinity(pinned, CpuMask::from_bits(0b1110), CpuMask::first(3));
    EXPECT_TRUE(gone.broken);
    EXPECT_EQ(gone.attributes.affinity_effective.bits(), 0b0110U);
    EXPECT_EQ(gone.attributes.affinity.bits(), 0b1000U);  // comes back when the hart does
    const auto nothing = kernel::sched::refit_affinity(pinned, CpuMask::from_bits(0b1000), CpuMask::first(3));
    EXPECT_TRUE(nothing.broken);
    EXPECT_EQ(nothing.attributes.affinity_effective, CpuMask::first(3));
}

TEST(FillAttr, ReportsAskedAndEffective) {
    Attributes attributes = parent_attributes();
    attributes.affinity = CpuMask::from_bits(0xff);
    abi::sched_attr attr;
    std::memset(&attr, 0xa5, sizeof(attr));
    const kernel::sched::Standing standing{.effective = Interactive,
                                           .shares = 125,
                                           .group_ceiling = 300,
                                           .budget = {.runtime = 20_ms, .period = 100_ms}};
    kernel::sched::fill_attr(attributes, standing, attr);
    EXPECT_EQ(attr.size, sizeof(attr));
    EXPECT_EQ(attr.qos_class, 3U);
    EXPECT_EQ(attr.effective_class, 2U);
    EXPECT_EQ(attr.shares, 250U);
    EXPECT_EQ(attr.effective_shares, 125U);
    EXPECT_EQ(attr.group, 300U);
    EXPECT_EQ(attr.budget_ns, 20'000'000U);
    EXPECT_EQ(attr.period_ns, 100'000'000U);
    EXPECT_EQ(attr.latency_ns, 2'000'000U);
    EXPECT_EQ(attr.burst_ns, 8'000'000U);
    EXPECT_EQ(attr.affinity, 0xffU);
    EXPECT_EQ(attr.effective_affinity, 0b11U);
    EXPECT_EQ(attr.affinity_prefer, 0b10U);
    EXPECT_EQ(attr.affinity_policy, 1U);
    EXPECT_EQ(attr.reserved[0] | attr.reserved[1], 0U);
}

}  // namespace
}  // namespace sched_test
