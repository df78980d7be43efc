// SPDX-License-Identifier: MIT
#include "task/futex_pi.hpp"

#include <gtest/gtest.h>

#include "arch/host/host_machine.hpp"
#include "fake_task.hpp"
#include "nexus_abi/linux.hpp"
#include "sched/donation.hpp"
#include "syscall/time.hpp"
#include "task/lifecycle.hpp"

namespace kernel {
namespace {

using fake::error;
using fake::kMemory;
using nexus_abi::Error;
using nexus_abi::QosClass;
using nexus_abi::Syscall;

constexpr std::uint64_t kLockPi = 6;
constexpr std::uint64_t kUnlockPi = 7;
constexpr std::uint64_t kTryLockPi = 8;
constexpr std::uint64_t kLockPi2 = 13;
constexpr std::uint64_t kPrivate = 128;
constexpr std::uint64_t kRealtime = 256;
constexpr std::uint32_t kHasWaiters = 0x8000'0000;
constexpr std::uint32_t kOwnerDied = 0x4000'0000;

constexpr std::uint64_t kTime = kMemory + 0x800;
constexpr std::uint32_t kThreads = 40;

constexpr std::uint64_t lock_at(std::uint64_t index) {
    return kMemory + 4 * index;
}

// Task n locks and unlocks as a C library does: in the word where it can, in the kernel where it must.
class FutexPi : public fake::SyscallTest {
  protected:
    FutexPi() : SyscallTest{kThreads} {
        for (std::size_t n = 0; n < kThreads; ++n) {
            be(n, QosClass::Normal);
        }
    }
    void be(std::size_t n, QosClass qos_class) { task(n).entity.attributes.qos_class = qos_class; }
    std::uint32_t tid(std::size_t n) { return task(n).tid().value(); }
    std::uint32_t word(std::uint64_t index = 0) { return get<std::uint32_t>(lock_at(index)); }
    void own(std::size_t n, std::uint64_t index = 0) { put(lock_at(index), tid(n)); }
    std::optional<std::int64_t> pi(std::size_t n, std::uint64_t operation, std::uint64_t index = 0,
                                   std::uint64_t timeout = 0) {
        return call_as(n, Syscall::futex, {lock_at(index), operation, 0, timeout, 0, 0});
    }
    void wait(std::size_t n, std::uint64_t index = 0, std::uint64_t timeout = 0) {
        ASSERT_EQ(pi(n, kLockPi | kPrivate, index, timeout), std::nullopt) << n;
    }
    std::uint64_t time(std::int64_t ns) {
        put(kTime, nexus_abi::timespec{.seconds = 0, .nanoseconds = ns});
        return kTime;
    }
    bool is_waiting(std::size_t n) { return task(n).run_state.load() == task::RunState::Blocked; }
    QosClass lent(std::size_t n) {
        const auto found = fake::record().donations.find(&task(n));
        return found == fake::record().donations.end() ? QosClass::Idle : found->second.qos_class;
    }
    bool is_lent_to(std::size_t n) { return fake::record().donations.contains(&task(n)); }
    Duration lent_latency(std::size_t n) {
        const auto found = fake::record().donations.find(&task(n));
        return found == fake::record().donations.end() ? Duration{} : found->second.latency;
    }
};

TEST_F(FutexPi, AFreeLockIsTaken) {
    EXPECT_EQ(pi(0, kLockPi), 0);
    EXPECT_EQ(word(), tid(0));
    EXPECT_EQ(pi(0, kUnlockPi), 0);
    EXPECT_EQ(word(), 0U);
    EXPECT_EQ(pi(0, kTryLockPi), 0);
    EXPECT_EQ(pi(1, kTryLockPi), error(Error::TryAgain));
    EXPECT_EQ(word(), tid(0)) << "who only tries leaves no trace";
    EXPECT_EQ(pi(0, kUnlockPi | kPrivate), 0);
    EXPECT_EQ(pi(0, kLockPi2), 0);
}

TEST_F(FutexPi, RefusesWhatIsWrong) {
    EXPECT_EQ(call_as(0, Syscall::futex, {kMemory + 1, kLockPi, 0, 0, 0, 0}), error(Error::InvalidArgument));
    EXPECT_EQ(call_as(0, Syscall::futex, {kMemory + 2, kUnlockPi, 0, 0, 0, 0}),
              error(Error::InvalidArgument));
    for (const std::uint64_t operation : {kLockPi, kLockPi2, kTryLockPi, kUnlockPi}) {
        EXPECT_EQ(call_as(0, Syscall::futex, {8, operation, 0, 0, 0, 0}), error(Error::BadAddress));
    }
    EXPECT_EQ(pi(0, kLockPi | kRealtime), error(Error::NotImplemented)) << "it is that anyway";
    EXPECT_EQ(pi(0, kUnlockPi), error(Error::NotPermitted)) << "how a C library finds out that PI is there";
    own(0);
    EXPECT_EQ(pi(0, kLockPi), error(Error::Deadlock));
    EXPECT_EQ(pi(0, kTryLockPi), error(Error::Deadlock));
    EXPECT_EQ(pi(1, kUnlockPi), error(Error::NotPermitted));
    EXPECT_EQ(pi(1, kLockPi, 0, 8), error(Error::BadAddress));
    EXPECT_EQ(pi(1, kLockPi, 0, time(1'000'000'000)), error(Error::InvalidArgument));
    put(lock_at(0), std::uint32_t{30'000});
    EXPECT_EQ(pi(1, kLockPi), error(Error::NoProcess)) << "nobody has this id";
    EXPECT_EQ(pi(1, kTryLockPi), error(Error::NoProcess));
    put(lock_at(0), add_process(true).tid().value());
    EXPECT_EQ(pi(1, kLockPi), error(Error::NoProcess)) << "another process's thread is no owner";
}

TEST_F(FutexPi, TheOldestOfEqualsIsNext) {
    own(0);
    for (std::size_t n = 1; n <= 3; ++n) {
        wait(n);
    }
    EXPECT_EQ(word(), tid(0) | kHasWaiters);
    EXPECT_EQ(pi(0, kUnlockPi), 0);
    EXPECT_EQ(word(), tid(1) | kHasWaiters);
    EXPECT_EQ(result_of(1), 0);
    EXPECT_FALSE(is_waiting(1));
    EXPECT_TRUE(is_waiting(2));
    EXPECT_EQ(pi(1, kUnlockPi), 0);
    EXPECT_EQ(pi(2, kUnlockPi), 0);
    EXPECT_EQ(word(), tid(3)) << "the last one may unlock without the kernel";
    EXPECT_EQ(pi(3, kUnlockPi), 0);
    EXPECT_EQ(word(), 0U);
}

TEST_F(FutexPi, TheHighestClassIsNext) {
    own(0);
    be(1, QosClass::Idle);
    be(3, QosClass::Interactive);
    be(4, QosClass::Interactive);
    for (std::size_t n = 1; n <= 4; ++n) {
        wait(n);
    }
    std::vector<std::size_t> order;
    for (std::size_t owner = 0; order.size() < 4; owner = order.back()) {
        ASSERT_EQ(pi(owner, kUnlockPi), 0);
        for (std::size_t n = 1; n <= 4; ++n) {
            if (tid(n) == (word() & ~kHasWaiters)) {
                order.push_back(n);
            }
        }
    }
    EXPECT_EQ(order, (std::vector<std::size_t>{3, 4, 2, 1}));
}

TEST_F(FutexPi, WaitersLendTheirClassUntilTheUnlock) {
    be(0, QosClass::Idle);
    own(0);
    be(1, QosClass::Normal);
    be(2, QosClass::Interactive);
    task(1).entity.attributes.latency = Duration::milliseconds(4);
    task(2).entity.attributes.latency = Duration::milliseconds(9);
    wait(1);
    EXPECT_EQ(lent(0), QosClass::Normal);
    wait(2);
    EXPECT_EQ(lent(0), QosClass::Interactive);
    EXPECT_EQ(lent_latency(0), Duration::milliseconds(4)) << "the shortest of all";
    EXPECT_EQ(pi(0, kUnlockPi), 0);
    EXPECT_FALSE(is_lent_to(0));
    EXPECT_EQ(lent(2), QosClass::Normal) << "the other one waits for the heir now";
    EXPECT_EQ(pi(2, kUnlockPi), 0);
    EXPECT_FALSE(is_lent_to(2));
}

TEST_F(FutexPi, WhoLendsNothingBetterStillLends) {
    be(1, QosClass::Idle);
    own(0);
    wait(1, 0, time(500));
    EXPECT_TRUE(is_lent_to(0)) << "an owner somebody waits for is not throttled";
    fake::expire(Instant::from_ns(500));
    EXPECT_FALSE(is_lent_to(0));
}

TEST_F(FutexPi, ALoanEndsWithTheLendersPatience) {
    be(0, QosClass::Idle);
    own(0);
    be(1, QosClass::Interactive);
    wait(1, 0, time(500));
    wait(2);
    EXPECT_EQ(lent(0), QosClass::Interactive);
    fake::expire(Instant::from_ns(500));
    EXPECT_EQ(result_of(1), error(Error::TimedOut));
    EXPECT_EQ(lent(0), QosClass::Normal);
    task::interrupt_wait(task(2));
    EXPECT_EQ(result_of(2), error(Error::Interrupted));
    EXPECT_FALSE(is_lent_to(0));
    EXPECT_EQ(word(), tid(0) | kHasWaiters);
    EXPECT_EQ(pi(0, kUnlockPi), 0);
    EXPECT_EQ(word(), 0U);
}

TEST_F(FutexPi, LockPiCountsFrom1970AndLockPi2FromBootIfNotTold) {
    syscall::set_realtime_offset(Duration::nanoseconds(1'000));
    own(0);
    wait(1, 0, time(1'500));
    ASSERT_EQ(pi(2, kLockPi2, 0, time(1'500)), std::nullopt);
    ASSERT_EQ(pi(3, kLockPi2 | kRealtime, 0, time(1'500)), std::nullopt);
    fake::expire(Instant::from_ns(500));
    EXPECT_FALSE(is_waiting(1));
    EXPECT_TRUE(is_waiting(2));
    EXPECT_FALSE(is_waiting(3));
    fake::expire(Instant::from_ns(1'500));
    EXPECT_FALSE(is_waiting(2));
    syscall::set_realtime_offset(Duration{});
}

TEST_F(FutexPi, AnOwnerOfManyHasTheBestOfAllItsWaiters) {
    be(0, QosClass::Idle);
    own(0, 0);
    own(0, 1);
    be(2, QosClass::Interactive);
    wait(1, 0);
    wait(2, 1);
    EXPECT_EQ(lent(0), QosClass::Interactive);
    EXPECT_EQ(pi(0, kUnlockPi, 1), 0);
    EXPECT_EQ(lent(0), QosClass::Normal);
    EXPECT_EQ(pi(0, kUnlockPi, 0), 0);
    EXPECT_FALSE(is_lent_to(0));
}

TEST_F(FutexPi, LoansPassAlongAChainAndBack) {
    // n waits for n - 1, which waits ... for 0.
    for (std::size_t n = 0; n <= task::kMaxPiChain; ++n) {
        own(n, n);
        be(n, QosClass::Idle);
    }
    be(task::kMaxPiChain, QosClass::Interactive);
    for (std::size_t n = 1; n < task::kMaxPiChain; ++n) {
        wait(n, n - 1);
    }
    EXPECT_EQ(lent(0), QosClass::Idle);
    wait(task::kMaxPiChain, task::kMaxPiChain - 1, time(500));
    for (std::size_t n = 0; n < task::kMaxPiChain; ++n) {
        EXPECT_EQ(lent(n), QosClass::Interactive) << n;
    }
    EXPECT_EQ(pi(task::kMaxPiChain + 1, kLockPi, task::kMaxPiChain), error(Error::Deadlock))
        << "one link more than is followed";
    fake::expire(Instant::from_ns(500));
    for (std::size_t n = 0; n < task::kMaxPiChain; ++n) {
        EXPECT_EQ(lent(n), QosClass::Idle) << n;
    }
}

TEST_F(FutexPi, ALoanMovesALenderForwardInItsQueue) {
    own(0, 0);
    own(2, 2);
    be(3, QosClass::Interactive);
    wait(1, 0);
    wait(2, 0);
    wait(3, 2);  // 2 is Interactive from now on, and passes 1
    EXPECT_EQ(lent(0), QosClass::Interactive);
    EXPECT_EQ(pi(0, kUnlockPi, 0), 0);
    EXPECT_EQ(word(0), tid(2) | kHasWaiters);
}

TEST_F(FutexPi, ACircleIsRefused) {
    for (std::size_t n = 0; n < 3; ++n) {
        own(n, n);
    }
    wait(0, 1);
    wait(1, 2);
    EXPECT_EQ(pi(2, kLockPi, 0), error(Error::Deadlock));
    EXPECT_EQ(pi(2, kUnlockPi, 2), 0);
    EXPECT_EQ(word(2), tid(1));
}

TEST_F(FutexPi, AChangedClassCountsWhileWaiting) {
    be(0, QosClass::Idle);
    own(0);
    wait(1);
    wait(2);
    be(2, QosClass::Interactive);
    task::refresh_pi_waiter(task(2));
    EXPECT_EQ(lent(0), QosClass::Interactive);
    task::refresh_pi_waiter(task(3));  // waits for nothing
    EXPECT_EQ(pi(0, kUnlockPi), 0);
    EXPECT_EQ(word(), tid(2) | kHasWaiters);
}

TEST_F(FutexPi, WhoGivesUpDuringTheUnlockIsPassedOver) {
    own(0);
    wait(1);
    wait(2);
    ASSERT_TRUE(task::claim_wait(task(1).wait)) << "its deadline is being handled on another hart";
    EXPECT_EQ(pi(0, kUnlockPi), 0);
    EXPECT_EQ(word(), tid(2) | kHasWaiters);
    EXPECT_EQ(pi(2, kUnlockPi), 0) << "only the one that gives up is left";
    EXPECT_EQ(word(), 0U);
    // Meanwhile others lock, and wait.
    own(3);
    wait(4);
    EXPECT_EQ(lent(3), QosClass::Normal);
    task::expire_wait(task(1).wait);
    EXPECT_EQ(result_of(1), error(Error::TimedOut));
    EXPECT_EQ(pi(3, kUnlockPi), 0);
    EXPECT_EQ(word(), tid(4));
}

TEST_F(FutexPi, AnOwnersEndPassesTheLockOn) {
    own(0, 0);
    own(0, 1);
    wait(1, 0);
    wait(2, 0);
    EXPECT_TRUE(task::pass_on_pi_futexes(task(0)));
    EXPECT_EQ(word(0), tid(1) | kOwnerDied | kHasWaiters);
    EXPECT_EQ(result_of(1), 0);
    EXPECT_FALSE(is_lent_to(0));
    EXPECT_EQ(pi(3, kLockPi, 1), error(Error::NoProcess)) << "who comes later learns that it is gone";
    EXPECT_EQ(pi(1, kUnlockPi), 0);
    EXPECT_EQ(word(0), tid(2));
}

TEST_F(FutexPi, ManyAreHandedOverInSteps) {
    for (std::size_t n = 1; n < kThreads; ++n) {
        own(0, n);
        wait(n, n);
    }
    EXPECT_FALSE(task::pass_on_pi_futexes(task(0)));
    EXPECT_FALSE(task::pass_on_pi_futexes(task(0)));
    EXPECT_TRUE(task::pass_on_pi_futexes(task(0)));
    for (std::size_t n = 1; n < kThreads; ++n) {
        EXPECT_EQ(word(n), tid(n) | kOwnerDied);
    }
}

TEST_F(FutexPi, AWordTheKernelDidNotWriteIsRefused) {
    own(0);
    wait(1);
    put(lock_at(0), tid(2) | kHasWaiters);
    EXPECT_EQ(pi(3, kLockPi), error(Error::InvalidArgument));
    EXPECT_EQ(pi(2, kUnlockPi), error(Error::InvalidArgument));
    put(lock_at(0), std::uint32_t{0});
    EXPECT_EQ(pi(3, kLockPi), error(Error::InvalidArgument));
    own(0);
    EXPECT_EQ(pi(0, kUnlockPi), 0);
    EXPECT_EQ(word(), tid(1));
}

}  // namespace
}  // namespace kernel
