// SPDX-License-Identifier: MIT
// The value types of kernel/lib: CpuMask, AtomicCpuMask, Duration, Instant, FixedVector.
#include <gtest/gtest.h>

#include <vector>

#include "lib/cpu_mask.hpp"
#include "lib/fixed_vector.hpp"
#include "lib/units.hpp"

namespace kernel {
namespace {

TEST(CpuMask, FirstAndAll) {
    EXPECT_TRUE(CpuMask::first(0).empty());
    EXPECT_EQ(CpuMask::first(3).bits(), 0b111U);
    EXPECT_EQ(CpuMask::first(64), CpuMask::all());
    EXPECT_EQ(CpuMask::all().count(), kMaxCpus);
}

TEST(CpuMask, SetOperations) {
    CpuMask mask = CpuMask::of(CpuId{63});
    mask.add(CpuId{0});
    EXPECT_TRUE(mask.contains(CpuId{63}) && mask.contains(CpuId{0}) && !mask.contains(CpuId{1}));
    EXPECT_EQ(mask.lowest(), CpuId{0});
    EXPECT_TRUE(mask.intersects(CpuMask::first(1)));
    EXPECT_FALSE(mask.intersects(CpuMask::from_bits(0b10)));
    EXPECT_EQ(mask.without(CpuMask::first(1)), CpuMask::of(CpuId{63}));
    EXPECT_EQ((mask & CpuMask::first(5)).bits(), 1U);
    EXPECT_EQ((mask | CpuMask::from_bits(0b10)).count(), 3U);
    mask.remove(CpuId{0});
    mask.remove(CpuId{63});
    EXPECT_TRUE(mask.empty());
}

TEST(CpuMask, NextFromWrapsAround) {
    const CpuMask mask = CpuMask::from_bits(0b1010);
    EXPECT_EQ(mask.next_from(CpuId{0}), CpuId{1});
    EXPECT_EQ(mask.next_from(CpuId{1}), CpuId{1});
    EXPECT_EQ(mask.next_from(CpuId{2}), CpuId{3});
    EXPECT_EQ(mask.next_from(CpuId{4}), CpuId{1});
    EXPECT_EQ(CpuMask::of(CpuId{63}).next_from(CpuId{63}), CpuId{63});
    EXPECT_EQ(CpuMask::of(CpuId{62}).next_from(CpuId{63}), CpuId{62});
}

TEST(CpuMask, ForEachAscends) {
    std::vector<std::uint32_t> seen;
    CpuMask::from_bits(0x8000'0000'0000'0005).for_each([&](CpuId cpu) { seen.push_back(cpu.value()); });
    EXPECT_EQ(seen, (std::vector<std::uint32_t>{0, 2, 63}));
}

TEST(AtomicCpuMask, ABitIsClaimedOnce) {
    AtomicCpuMask mask;
    mask.add(CpuId{5});
    EXPECT_FALSE(mask.try_claim(CpuId{4}));
    EXPECT_TRUE(mask.try_claim(CpuId{5}));
    EXPECT_FALSE(mask.try_claim(CpuId{5}));
    EXPECT_TRUE(mask.load().empty());
}

TEST(Duration, UnitsAndArithmetic) {
    EXPECT_EQ(Duration::seconds(1), Duration::milliseconds(1000));
    EXPECT_EQ(Duration::milliseconds(1), Duration::microseconds(1000));
    EXPECT_EQ(Duration::microseconds(1), Duration::nanoseconds(1000));
    EXPECT_EQ((Duration::milliseconds(3) - Duration::milliseconds(5)).ns(), -2'000'000);
    EXPECT_EQ((Duration::milliseconds(3) * 4 / 6).ns(), 2'000'000);
    EXPECT_EQ((-Duration::nanoseconds(7)).ns(), -7);
    EXPECT_TRUE(Duration{}.is_zero());
    EXPECT_LT(Duration::nanoseconds(-1), Duration{});
}

TEST(Instant, SaturatesAtNever) {
    const Instant start = Instant::from_ns(100);
    EXPECT_EQ(start.plus_saturating(Duration::nanoseconds(1)), Instant::from_ns(101));
    EXPECT_TRUE(start.plus_saturating(Duration::max()).is_never());
    EXPECT_TRUE(Instant::never().plus_saturating(Duration::nanoseconds(1)).is_never());
    // Long before boot, as a time of 1970 is.
    const Instant old = Instant::from_ns(std::numeric_limits<std::int64_t>::min() / 2);
    EXPECT_EQ(old.plus_saturating(Duration::nanoseconds(1)), Instant::from_ns(old.ns() + 1));
    EXPECT_EQ(old.plus_saturating(Duration::max()).ns(), old.ns() + std::numeric_limits<std::int64_t>::max());
    EXPECT_EQ(start - Instant::from_ns(40), Duration::nanoseconds(60));
    EXPECT_EQ(min(start, Instant::never()), start);
    EXPECT_EQ(start + Duration::nanoseconds(5) - Duration::nanoseconds(5), start);
}

TEST(FixedVector, RefusesWhenFull) {
    FixedVector<int, 2> items;
    EXPECT_TRUE(items.empty());
    EXPECT_TRUE(items.try_push(7));
    EXPECT_TRUE(items.try_push(8));
    EXPECT_TRUE(items.full());
    EXPECT_FALSE(items.try_push(9));
    EXPECT_EQ(items.size(), 2U);
    EXPECT_EQ(items[1], 8);
    items.shrink_to(1);
    EXPECT_EQ(std::vector<int>(items.begin(), items.end()), std::vector<int>{7});
    items.clear();
    EXPECT_TRUE(items.empty());
}

TEST(FixedVectorDeathTest, AnIndexBeyondTheEndIsABug) {
    FixedVector<int, 2> items;
    ASSERT_TRUE(items.try_push(7));
    EXPECT_DEATH(static_cast<void>(items[1]), "index < size_");
}

}  // namespace
}  // namespace kernel
