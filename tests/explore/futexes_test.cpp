// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "world.hpp"

namespace explore {
namespace {

using kernel::CpuMask;
using kernel::Duration;

constexpr CpuMask kHart0 = CpuMask::from_bits(1);
constexpr CpuMask kHart1 = CpuMask::from_bits(2);
constexpr CpuMask kHart2 = CpuMask::from_bits(4);
constexpr Duration kSoon = Duration::milliseconds(1);

// As protocols_test.cpp: two deviations for two harts, one for three, and random schedules.
constexpr Bounds kTwoHarts{.deviations = 2, .executions = 60'000, .samples = 2'000};
constexpr Bounds kThreeHarts{.deviations = 1, .executions = 60'000, .samples = 4'000};

void expect_none(std::uint32_t harts, const std::function<void(World&)>& build, const Bounds& bounds) {
    const Outcome outcome = explore_world(harts, build, bounds);
    std::string trace;
    for (const std::string& line : outcome.trace) {
        trace += "  " + line + "\n";
    }
    EXPECT_EQ(outcome.violation, "") << trace;
    EXPECT_TRUE(outcome.complete) << "after " << outcome.executions << " executions";
    std::printf("%llu executions\n", static_cast<unsigned long long>(outcome.executions));
}

TEST(Futex, WakeAgainstWait) {
    expect_none(
        2,
        [](World& world) {
            world.watch_words();
            Actor& waiter = world.add("waiter", 0, kHart0);
            Actor& waker = world.add("waker", 1, kHart1);
            waiter.calls = {World::futex_wait(0)};
            waker.calls = {World::futex_wake(0, 1)};
        },
        kTwoHarts);
}

TEST(Futex, TimeoutAgainstWake) {
    expect_none(
        2,
        [](World& world) {
            world.watch_words();
            Actor& waiter = world.add("waiter", 0, kHart0);
            Actor& waker = world.add("waker", 1, kHart1);
            waiter.calls = {World::futex_wait(0, kSoon)};
            waker.calls = {World::futex_wake(0, 1)};
        },
        kTwoHarts);
}

TEST(Futex, KillAgainstWake) {
    expect_none(
        3,
        [](World& world) {
            world.watch_words();
            Actor& waiter = world.add("waiter", 0, kHart0);
            Actor& waker = world.add("waker", 1, kHart1);
            Actor& killer = world.add("killer", 2, kHart2);
            waiter.calls = {World::futex_wait(0)};
            waker.calls = {World::futex_wake(0, 1)};
            killer.calls = {World::kill(waiter)};
        },
        kThreeHarts);
}

// The waiter is on no queue for a moment, and claimed: a kill that comes then finds nothing to end.
TEST(Futex, KillAgainstRequeue) {
    expect_none(
        3,
        [](World& world) {
            world.watch_words();
            Actor& waiter = world.add("waiter", 0, kHart0);
            Actor& mover = world.add("mover", 1, kHart1);
            Actor& killer = world.add("killer", 2, kHart2);
            waiter.calls = {World::futex_wait(0)};
            mover.calls = {World::futex_requeue(0, 1)};
            killer.calls = {World::kill(waiter)};
        },
        kThreeHarts);
}

TEST(Futex, TimeoutAgainstRequeue) {
    expect_none(
        2,
        [](World& world) {
            world.watch_words();
            Actor& waiter = world.add("waiter", 0, kHart0);
            Actor& mover = world.add("mover", 1, kHart1);
            waiter.calls = {World::futex_wait(0, kSoon)};
            mover.calls = {World::futex_requeue(0, 1)};
        },
        kTwoHarts);
}

TEST(Futex, WakeAgainstRequeue) {
    expect_none(
        3,
        [](World& world) {
            world.watch_words();
            Actor& waiter = world.add("waiter", 0, kHart0);
            Actor& mover = world.add("mover", 1, kHart1);
            Actor& waker = world.add("waker", 2, kHart2);
            waiter.calls = {World::futex_wait(0)};
            mover.calls = {World::futex_requeue(0, 1), World::futex_wake(1, 1)};
            waker.calls = {World::futex_wake(0, 1)};
        },
        kThreeHarts);
}

}  // namespace
}  // namespace explore
