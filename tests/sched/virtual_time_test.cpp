// SPDX-License-Identifier: MIT
#include "sched/virtual_time.hpp"

#include <gtest/gtest.h>

#include <random>

namespace kernel::sched {
namespace {

TEST(VirtualTime, OrderSurvivesTheWrap) {
    const auto before = VirtualTime::from_raw(~std::uint64_t{0} - 5);
    const VirtualTime after = before + 10;
    EXPECT_EQ(after.raw(), 4U);
    EXPECT_TRUE(is_before(before, after));
    EXPECT_FALSE(is_before(after, before));
    EXPECT_FALSE(is_before(after, after));
    EXPECT_EQ(after - before, 10);
    EXPECT_EQ(earlier(before, after), before);
    EXPECT_EQ(later(before, after), after);
}

// The host's own 128-bit division is the reference.
TEST(VirtualTime, FloorDivideIsExact) {
    std::mt19937_64 random{1};
    for (int i = 0; i < 20'000; ++i) {
        const auto divisor = static_cast<std::uint32_t>(random() >> (32 + random() % 31)) | 1U;
        const auto quotient = static_cast<std::int64_t>(random()) >> (random() % 63 + 1);
        const auto remainder = static_cast<std::int64_t>(random() % divisor);
        const Int128 dividend = Int128{quotient} * divisor + remainder;
        ASSERT_EQ(floor_divide(dividend, divisor), quotient) << "divisor " << divisor << " i " << i;
    }
    EXPECT_EQ(floor_divide(-1, 1000), -1);
    EXPECT_EQ(floor_divide(-1000, 1000), -1);
    EXPECT_EQ(floor_divide(-1001, 1000), -2);
}

// Sum of weight * advance plus the carry is the service, to the unit, however it is cut up.
TEST(VirtualTime, AdvanceLosesNothing) {
    std::mt19937_64 random{2};
    for (const std::uint32_t weight : {16U, 112U, 1600U, 4800U, 15984U, 16000U}) {
        for (const std::uint32_t capacity : {1U, 512U, 1024U}) {
            std::uint64_t carry = 0;
            Int128 delivered = 0;
            Int128 service = 0;
            for (int i = 0; i < 1000; ++i) {
                const auto step = Duration::nanoseconds(static_cast<std::int64_t>(random() % 5'000'000));
                service += Int128{step.ns()} * capacity * 16;
                delivered += Int128{advance(step, capacity, weight, carry)} * weight;
            }
            EXPECT_TRUE(delivered + static_cast<Int128>(carry) == service) << weight << " at " << capacity;
        }
    }
}

TEST(VirtualTime, TimeToAdvanceIsTheLeastThatSuffices) {
    std::mt19937_64 random{3};
    for (int i = 0; i < 10'000; ++i) {
        const std::uint32_t weight = 16 * static_cast<std::uint32_t>(random() % 1000 + 1);
        const std::uint32_t capacity = static_cast<std::uint32_t>(random() % 1024 + 1);
        const auto carry = random() % weight;
        const auto span = static_cast<VirtualSpan>(random() % 10'000'000);
        const Duration needed = time_to_advance(span, capacity, weight, carry);
        std::uint64_t rest = carry;
        ASSERT_GE(advance(needed, capacity, weight, rest), span);
        if (!needed.is_zero()) {
            rest = carry;
            ASSERT_LT(advance(needed - Duration::nanoseconds(1), capacity, weight, rest), span);
        }
    }
    std::uint64_t none = 0;
    EXPECT_TRUE(time_to_advance(-1, 1024, 16, none).is_zero());
}

// On both sides of where two factors fit a word, and far beyond.
TEST(VirtualTime, TimeToAdvanceIsExactHoweverFar) {
    std::mt19937_64 random{4};
    for (int i = 0; i < 50'000; ++i) {
        const VirtualSpan span =
            (VirtualSpan{1} << (random() % 60)) + static_cast<VirtualSpan>(random() % 3) - 1;
        const auto weight = static_cast<std::uint32_t>((1U << (4 + random() % 14)) + random() % 3 - 1);
        const auto capacity = static_cast<std::uint32_t>(1 + random() % 1024);
        const std::uint64_t carry =
            random() % 4 == 0 ? random() % (std::uint64_t{1} << 40U) : random() % weight;
        const Int128 units = Int128{span} * weight - static_cast<Int128>(carry);
        const Int128 per_ns = Int128{capacity} << (kVirtualShift - 10);
        // A quotient beyond 63 bits is beyond every request.
        const Int128 needed = span <= 0 || units <= 0 ? 0 : (units + per_ns - 1) / per_ns;
        if (needed < Int128{1} << 62U) {
            ASSERT_EQ(time_to_advance(span, capacity, weight, carry).ns(), static_cast<std::int64_t>(needed))
                << span << " of " << weight << " at " << capacity << " carry " << carry;
        }
    }
}

TEST(VirtualTime, OfARequestSomethingIsLeft) {
    EXPECT_EQ(rescale_rest(1, 16, 16'000), 1);
    EXPECT_EQ(rescale_rest(0, 16, 16'000), 0);
    EXPECT_EQ(rescale_rest(-1, 16, 16'000), -1);
    EXPECT_EQ(rescale_rest(1000, 16, 16'000), 1);
    EXPECT_EQ(rescale_rest(2000, 16, 16'000), 2);
    EXPECT_EQ(rescale_rest(2, 16'000, 16), 2000);
}

TEST(VirtualTime, RescaleKeepsTheService) {
    EXPECT_EQ(rescale(300, 1600, 4800), 100);
    EXPECT_EQ(rescale(-300, 1600, 4800), -100);
    EXPECT_EQ(rescale(100, 4800, 1600), 300);
    EXPECT_EQ(rescale(-1, 1600, 4800), -1);  // rounds down: a debt is never forgiven
}

}  // namespace
}  // namespace kernel::sched
