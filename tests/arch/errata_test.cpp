// SPDX-License-Identifier: MIT
#include "arch/riscv64/errata.hpp"

#include <gtest/gtest.h>

#include "arch/riscv64/hart_state.hpp"

namespace {

using kernel::arch::bit_of;
using kernel::arch::CoreIds;
using kernel::arch::Erratum;
using kernel::arch::extend_fault_address;
using kernel::arch::find_difference;
using kernel::arch::find_errata;
using kernel::arch::HartState;

constexpr std::uint64_t kSifive = 0x489;
constexpr std::uint64_t kSeries7 = 0x8000000000000007;

// Milk-V Mars and VisionFive 2, from /proc/cpuinfo of Linux.
TEST(Errata, TheJh7110HasNone) {
    EXPECT_EQ(find_errata({.vendor = kSifive, .architecture = kSeries7, .implementation = 0x4210427}), 0U);
}

TEST(Errata, EmulatedAndUnknownCoresHaveNone) {
    EXPECT_EQ(find_errata({}), 0U);
    EXPECT_EQ(find_errata({.vendor = 0x5b7, .architecture = kSeries7, .implementation = 0x20181004}), 0U)
        << "another vendor's numbers mean something else";
    EXPECT_EQ(find_errata({.vendor = kSifive, .architecture = 0x8000000000000001, .implementation = 0}), 0U);
}

TEST(Errata, Cip453FromTheFirstToTheLastAffected) {
    const auto has = [](std::uint64_t architecture, std::uint64_t implementation) {
        return (find_errata({kSifive, architecture, implementation}) &
                bit_of(Erratum::FaultAddressNotExtended)) != 0;
    };
    EXPECT_FALSE(has(kSeries7, 0x20181003));
    EXPECT_TRUE(has(kSeries7, 0x20181004));
    EXPECT_TRUE(has(kSeries7, 0x20191105));
    EXPECT_FALSE(has(kSeries7, 0x20191106));
    EXPECT_FALSE(has(1, 0x20181004)) << "5 series";
}

TEST(Errata, Cip1200ByTheLowerThreeBytes) {
    const auto has = [](std::uint64_t architecture, std::uint64_t implementation) {
        return (find_errata({kSifive, architecture, implementation}) &
                bit_of(Erratum::NarrowFenceIncomplete)) != 0;
    };
    EXPECT_TRUE(has(kSeries7, 0x20200630));
    EXPECT_FALSE(has(kSeries7, 0x20200631));
    EXPECT_TRUE(has(1, 0x20190531));
    EXPECT_FALSE(has(kSeries7, 0x01200626)) << "that one is repaired";
    EXPECT_TRUE(has(kSeries7, 0x02200626));
}

TEST(Errata, FaultAddressesAreExtendedFromBit38) {
    EXPECT_EQ(extend_fault_address(0x3fffffffff), 0x3fffffffffU) << "the lower half stays";
    EXPECT_EQ(extend_fault_address(0x7f80000000), 0xffffffff80000000U);
    EXPECT_EQ(extend_fault_address(0xffffffff80000000), 0xffffffff80000000U);
    EXPECT_EQ(extend_fault_address(0), 0U);
}

// Each register counts; none is looked at twice or forgotten.
TEST(HartStates, EveryDifferenceHasItsName) {
    const HartState reference;
    EXPECT_FALSE(find_difference(reference, reference).has_value());
    struct Case {
        std::string_view name;
        std::uint64_t HartState::* field;
    };
    for (const Case& one : {Case{"sstatus", &HartState::sstatus}, Case{"sie", &HartState::sie},
                            Case{"stvec", &HartState::stvec}, Case{"sscratch", &HartState::sscratch},
                            Case{"scounteren", &HartState::scounteren}, Case{"satp", &HartState::satp},
                            Case{"senvcfg", &HartState::senvcfg}}) {
        HartState other;
        other.*one.field = 0x40;
        const auto difference = find_difference(reference, other);
        ASSERT_TRUE(difference.has_value()) << one.name;
        EXPECT_EQ(difference->name, one.name);
        EXPECT_EQ(difference->expected, 0U);
        EXPECT_EQ(difference->found, 0x40U);
    }
    HartState newer;
    newer.has_senvcfg = true;
    EXPECT_EQ(find_difference(newer, reference)->name, "has senvcfg");
}

}  // namespace
