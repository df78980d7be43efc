// SPDX-License-Identifier: MIT
#include "structures.hpp"

#include <gtest/gtest.h>

namespace explore {
namespace {

void expect_none(const Outcome& outcome) {
    std::string trace;
    for (const std::string& line : outcome.trace) {
        trace += "  " + line + "\n";
    }
    EXPECT_EQ(outcome.violation, "") << trace;
    EXPECT_TRUE(outcome.complete) << "after " << outcome.executions << " executions";
    std::printf("%llu executions\n", static_cast<unsigned long long>(outcome.executions));
    ::testing::Test::RecordProperty("executions", std::to_string(outcome.executions));
}

// A few steps each: with four deviations there is hardly an order that is not tried.
constexpr Bounds kFew{.deviations = 4, .executions = 2'000'000, .races_in_one_of = 1};
constexpr Bounds kThree{.deviations = 3, .executions = 2'000'000, .races_in_one_of = 1};

TEST(Memory, AStoreIsSeenLateUnlessBothSidesAreFenced) {
    EXPECT_EQ(store_buffering(Fencing::None, kFew).violation, "neither saw the other");
    EXPECT_EQ(store_buffering(Fencing::AcquireRelease, kFew).violation, "neither saw the other");
    expect_none(store_buffering(Fencing::SeqCst, kFew));
    expect_none(store_buffering(Fencing::Fences, kFew));
}

TEST(Memory, AFlagThatReleasesNothingIsARace) {
    EXPECT_NE(message_passing(Fencing::None, kFew).violation.find("plain read"), std::string::npos);
    expect_none(message_passing(Fencing::AcquireRelease, kFew));
    expect_none(message_passing(Fencing::SeqCst, kFew));
    expect_none(message_passing(Fencing::Fences, kFew));
}

TEST(Memory, OnlySequentialConsistencyOrdersIndependentStores) {
    EXPECT_EQ(independent_reads(Fencing::AcquireRelease, kFew).violation, "two orders of two stores");
    expect_none(independent_reads(Fencing::SeqCst, kFew));
    expect_none(independent_reads(Fencing::Fences, kFew));
}

TEST(Memory, AWordNeverGoesBack) {
    expect_none(coherence(kFew));
}

TEST(Structures, SeqLock) {
    expect_none(seqlock(kThree));
}
TEST(Structures, SpinLock) {
    expect_none(spin_lock(kThree));
}
TEST(Structures, TryLock) {
    expect_none(try_lock(kFew));
}
TEST(Structures, References) {
    expect_none(references(kFew));
}
TEST(Structures, TraceRing) {
    expect_none(trace_ring(kThree));
}
TEST(Structures, ShootdownWithAsids) {
    expect_none(shootdown(true, kThree));
}
TEST(Structures, ShootdownWithoutAsids) {
    expect_none(shootdown(false, kThree));
}
TEST(Structures, TeardownWithAsids) {
    expect_none(teardown(true, kThree));
}
TEST(Structures, TeardownWithoutAsids) {
    expect_none(teardown(false, kThree));
}

}  // namespace
}  // namespace explore
