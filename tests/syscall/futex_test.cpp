// SPDX-License-Identifier: MIT
#include "task/futex.hpp"

#include <gtest/gtest.h>

#include "arch/host/host_machine.hpp"
#include "fake_task.hpp"
#include "nexus_abi/linux.hpp"

namespace kernel {
namespace {

using fake::error;
using fake::kMemory;
using nexus_abi::Error;
using nexus_abi::Syscall;

constexpr std::uint64_t kWait = 0;
constexpr std::uint64_t kWake = 1;
constexpr std::uint64_t kRequeue = 3;
constexpr std::uint64_t kCompareRequeue = 4;
constexpr std::uint64_t kWakeOperation = 5;
constexpr std::uint64_t kWaitBitset = 9;
constexpr std::uint64_t kWakeBitset = 10;
constexpr std::uint64_t kPrivate = 128;
constexpr std::uint64_t kRealtime = 256;
constexpr std::uint64_t kAny = 0xffff'ffff;
constexpr std::uint64_t kAll = 0x7fff'ffff;

constexpr std::uint64_t kFirst = kMemory;
constexpr std::uint64_t kSecond = kMemory + 4;
constexpr std::uint64_t kTime = kMemory + 256;
constexpr std::uint32_t kThreads = 40;

class Futex : public fake::SyscallTest {
  protected:
    Futex() : SyscallTest{kThreads} {
        put(kFirst, std::uint32_t{5});
        put(kSecond, std::uint32_t{7});
    }
    std::optional<std::int64_t> futex(std::size_t n, std::uint64_t word, std::uint64_t operation,
                                      std::uint64_t value, std::uint64_t timeout = 0, std::uint64_t word2 = 0,
                                      std::uint64_t value3 = 0) {
        return call_as(n, Syscall::futex, {word, operation, value, timeout, word2, value3});
    }
    void wait(std::size_t n, std::uint64_t word, std::uint32_t value, std::uint64_t timeout = 0) {
        ASSERT_EQ(futex(n, word, kWait, value, timeout), std::nullopt);
    }
    bool is_waiting(std::size_t n) { return task(n).run_state.load() == task::RunState::Blocked; }
    void put_time(std::int64_t ns) { put(kTime, nexus_abi::timespec{.seconds = 0, .nanoseconds = ns}); }
};

TEST_F(Futex, WaitComparesFirst) {
    EXPECT_EQ(futex(0, kFirst, kWait, 6), error(Error::TryAgain));
}

TEST_F(Futex, RefusesBadArguments) {
    EXPECT_EQ(futex(0, kFirst + 1, kWait, 5), error(Error::InvalidArgument));
    EXPECT_EQ(futex(0, kFirst + 2, kWake, 1), error(Error::InvalidArgument));
    EXPECT_EQ(futex(0, 8, kWait, 5), error(Error::BadAddress));
    EXPECT_EQ(futex(0, kFirst, kWaitBitset, 5, 0, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(futex(0, kFirst, kWakeBitset, 5, 0, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(futex(0, kFirst, kWake | kRealtime, 1), error(Error::NotImplemented));
    EXPECT_EQ(futex(0, kFirst, kWait, 5, 8), error(Error::BadAddress));
    put_time(1'000'000'000);
    EXPECT_EQ(futex(0, kFirst, kWait, 5, kTime), error(Error::InvalidArgument));
    EXPECT_EQ(futex(0, kFirst, kRequeue, kAny, 1, kSecond), error(Error::InvalidArgument));
    EXPECT_EQ(futex(0, kFirst, kRequeue, 1, 1, kSecond + 2), error(Error::InvalidArgument));
    EXPECT_EQ(futex(0, kFirst, kRequeue, 1, 1, 8), error(Error::BadAddress));
}

TEST_F(Futex, WakesOldestFirstAndCounts) {
    wait(1, kFirst, 5);
    wait(2, kFirst, 5);
    wait(3, kSecond, 7);
    EXPECT_EQ(futex(0, kFirst, kWake | kPrivate, 1), 1);
    EXPECT_FALSE(is_waiting(1));
    EXPECT_TRUE(is_waiting(2));
    EXPECT_EQ(result_of(1), 0);
    EXPECT_EQ(futex(0, kFirst, kWake, kAll), 1);
    EXPECT_TRUE(is_waiting(3));
    EXPECT_EQ(futex(0, kFirst, kWake, kAll), 0);
}

TEST_F(Futex, ABitsetChoosesWhomToWake) {
    ASSERT_EQ(futex(1, kFirst, kWaitBitset, 5, 0, 0, 0b01), std::nullopt);
    ASSERT_EQ(futex(2, kFirst, kWaitBitset, 5, 0, 0, 0b10), std::nullopt);
    EXPECT_EQ(futex(0, kFirst, kWakeBitset, kAll, 0, 0, 0b10), 1);
    EXPECT_TRUE(is_waiting(1));
    EXPECT_FALSE(is_waiting(2));
}

TEST_F(Futex, ManyAreWokenInSteps) {
    for (std::uint32_t n = 1; n < kThreads; ++n) {
        wait(n, kFirst, 5);
    }
    EXPECT_EQ(futex(0, kFirst, kWake, kAll), kThreads - 1);
    EXPECT_EQ(pieces(), 2U);
    for (std::uint32_t n = 1; n < kThreads; ++n) {
        wait(n, kFirst, 5);
    }
    EXPECT_EQ(futex(0, kFirst, kWake, 35), 35) << "not more than asked for";
}

TEST_F(Futex, AWaitEndsAtItsDeadline) {
    arch::host::set_now(Instant::from_ns(1000));
    put_time(500);
    wait(1, kFirst, 5, kTime);
    fake::expire(Instant::from_ns(1499));
    EXPECT_TRUE(is_waiting(1));
    fake::expire(Instant::from_ns(1500));
    EXPECT_FALSE(is_waiting(1));
    EXPECT_EQ(result_of(1), error(Error::TimedOut));
    EXPECT_EQ(futex(0, kFirst, kWake, kAll), 0) << "it left the queue";
}

TEST_F(Futex, ABitsetWaitTakesAnAbsoluteDeadline) {
    arch::host::set_now(Instant::from_ns(1000));
    put_time(1500);
    ASSERT_EQ(futex(1, kFirst, kWaitBitset, 5, kTime, 0, kAny), std::nullopt);
    fake::expire(Instant::from_ns(1500));
    EXPECT_EQ(result_of(1), error(Error::TimedOut));
}

TEST_F(Futex, RequeueWakesSomeAndMovesOthers) {
    for (std::size_t n = 1; n <= 5; ++n) {
        wait(n, kFirst, 5);
    }
    EXPECT_EQ(futex(0, kFirst, kCompareRequeue, 1, 3, kSecond, 4), error(Error::TryAgain));
    EXPECT_EQ(futex(0, kFirst, kCompareRequeue, 1, 3, kSecond, 5), 4);
    EXPECT_FALSE(is_waiting(1));
    EXPECT_EQ(futex(0, kSecond, kWake, kAll), 3);
    EXPECT_TRUE(is_waiting(5));
    EXPECT_EQ(futex(0, kFirst, kWake, kAll), 1);
}

TEST_F(Futex, ManyAreMovedInSteps) {
    for (std::uint32_t n = 1; n < kThreads; ++n) {
        wait(n, kFirst, 5);
    }
    EXPECT_EQ(futex(0, kFirst, kCompareRequeue, 2, kAll, kSecond, 5), kThreads - 1);
    EXPECT_EQ(pieces(), 2U);
    EXPECT_FALSE(is_waiting(2));
    EXPECT_TRUE(is_waiting(3));
    EXPECT_EQ(futex(0, kFirst, kWake, kAll), 0);
    EXPECT_EQ(futex(0, kSecond, kRequeue, 33, 1, kFirst), 34) << "no more than asked for";
    EXPECT_EQ(futex(0, kFirst, kWake, kAll), 1);
    EXPECT_EQ(futex(0, kSecond, kWake, kAll), 3);
}

TEST_F(Futex, ManyThatDoNotMatchArePassedOverInSteps) {
    for (std::uint32_t n = 1; n < kThreads; ++n) {
        ASSERT_EQ(futex(n, kFirst, kWaitBitset, 5, 0, 0, n + 1 == kThreads ? 0b10 : 0b01), std::nullopt);
    }
    EXPECT_EQ(futex(0, kFirst, kWakeBitset, 1, 0, 0, 0b10), 1);
    EXPECT_EQ(pieces(), 2U);
    EXPECT_FALSE(is_waiting(kThreads - 1));
}

TEST_F(Futex, WakeOperationGoesOnInSteps) {
    for (std::uint32_t n = 1; n <= 36; ++n) {
        wait(n, n % 2 == 0 ? kFirst : kSecond, n % 2 == 0 ? 5 : 7);
    }
    // The second word becomes 8; the comparison is with what it was.
    EXPECT_EQ(futex(0, kFirst, kWakeOperation, 17, 18, kSecond, 1U << 28 | 1U << 12 | 7U), 35);
    EXPECT_EQ(get<std::uint32_t>(kSecond), 8U);
    for (std::uint32_t n = 1; n < kThreads; ++n) {
        if (!is_waiting(n) && n > 36) {
            wait(n, kFirst, 5);
        }
    }
    EXPECT_EQ(futex(0, kFirst, kWake, kAll), 1 + 3);
    for (std::uint32_t n = 1; n < kThreads; ++n) {
        wait(n, kFirst, 5);
    }
    EXPECT_EQ(futex(0, kFirst, kWakeOperation, kAll, kAll, kSecond, 1U << 28 | 1U << 12 | 8U), kThreads - 1);
    EXPECT_EQ(pieces(), 2U);
    EXPECT_EQ(get<std::uint32_t>(kSecond), 9U) << "changed once";
}

TEST_F(Futex, AMovedWaiterKeepsItsDeadline) {
    put_time(500);
    wait(1, kFirst, 5, kTime);
    EXPECT_EQ(futex(0, kFirst, kRequeue, 0, 1, kSecond), 1);
    fake::expire(Instant::from_ns(500));
    EXPECT_EQ(result_of(1), error(Error::TimedOut));
    EXPECT_EQ(futex(0, kSecond, kWake, kAll), 0);
}

TEST_F(Futex, AKillDuringTheMoveIsNotLost) {
    wait(1, kFirst, 5);
    // The killer sets the flag, then fails to claim because the mover has; the mover must notice.
    task(1).must_exit.store(true);
    EXPECT_EQ(futex(0, kFirst, kRequeue, 0, 1, kSecond), 1);
    EXPECT_FALSE(is_waiting(1));
    EXPECT_EQ(futex(0, kSecond, kWake, kAll), 0);
}

TEST_F(Futex, RequeueToItselfLeavesEveryoneInPlace) {
    wait(1, kFirst, 5);
    EXPECT_EQ(futex(0, kFirst, kRequeue, 0, kAll, kFirst), 0);
    EXPECT_EQ(futex(0, kFirst, kWake, kAll), 1);
}

constexpr std::uint64_t operation(std::uint64_t change, std::uint64_t operand, std::uint64_t comparison,
                                  std::uint64_t compared) {
    return change << 28 | (comparison & 0xf) << 24 | (operand & 0xfff) << 12 | (compared & 0xfff);
}

TEST_F(Futex, WakeOperationChangesComparesAndWakes) {
    struct Case {
        std::uint64_t encoded;
        std::uint32_t after;
        std::int64_t woken;
    };
    // The second word is 7; one waiter each.
    for (const Case& c : {Case{operation(0, 9, 0, 7), 9, 2},         // set, ==
                          Case{operation(1, 2, 1, 7), 9, 1},         // add, !=
                          Case{operation(2, 8, 2, 8), 15, 2},        // or, <
                          Case{operation(3, 3, 3, 6), 4, 1},         // and-not, <=
                          Case{operation(4, 1, 4, 0xfff), 6, 2},     // xor, > -1
                          Case{operation(8, 4, 5, 7), 16, 2},        // set 1 << 4, >=
                          Case{operation(1, 0xfff, 5, 8), 6, 1}}) {  // add -1, >=
        put(kSecond, std::uint32_t{7});
        wait(1, kFirst, 5);
        wait(2, kSecond, 7);
        EXPECT_EQ(futex(0, kFirst, kWakeOperation, kAll, kAll, kSecond, c.encoded), c.woken)
            << std::hex << c.encoded;
        EXPECT_EQ(get<std::uint32_t>(kSecond), c.after) << std::hex << c.encoded;
        EXPECT_EQ(futex(0, kSecond, kWake, kAll), 2 - c.woken);
    }
    EXPECT_EQ(futex(0, kFirst, kWakeOperation, 1, 1, kSecond, operation(5, 0, 0, 0)),
              error(Error::NotImplemented));
    EXPECT_EQ(futex(0, kFirst, kWakeOperation, 1, 1, kSecond, operation(0, 0, 6, 0)),
              error(Error::NotImplemented));
}

TEST_F(Futex, ThreadExitWakesItsJoiner) {
    wait(1, kFirst, 5);
    task::wake_futex(process().space(), kFirst + 1, 1);
    EXPECT_TRUE(is_waiting(1));
    task::wake_futex(process().space(), kFirst, 1);
    EXPECT_FALSE(is_waiting(1));
}

}  // namespace
}  // namespace kernel
