// SPDX-License-Identifier: MIT
// Clocks, sleeps and what cannot be set, each with every errno.
#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <utility>

#include "arch/host/host_machine.hpp"
#include "fake_task.hpp"
#include "nexus_abi/linux.hpp"
#include "syscall/time.hpp"
#include "task/wait.hpp"

namespace kernel {
namespace {

using fake::error;
using fake::kMemory;
using nexus_abi::Error;
using nexus_abi::Syscall;
using nexus_abi::timespec;
using nexus_abi::timeval;

constexpr std::uint64_t kResult = kMemory + 0x1000;
constexpr std::uint64_t kAbsolute = 1;
constexpr std::uint64_t kNowhere = 8;
constexpr std::int64_t kSecond = 1'000'000'000;

class Time : public fake::SyscallTest {
  protected:
    Time() : SyscallTest{2} {
        arch::host::set_now(Instant::from_ns(5 * kSecond + 7));
        syscall::set_realtime_offset(Duration::nanoseconds(1000 * kSecond + 3));
        fake::record().thread_runtime = Duration::nanoseconds(11);
        fake::record().process_runtime = Duration::nanoseconds(2 * kSecond + 22);
    }
    ~Time() override {
        syscall::set_realtime_offset({});
        syscall::set_timebase_hz(10'000'000);
    }
    // Nanoseconds, or -errno.
    std::int64_t clock(std::int32_t id) {
        put(kResult, timespec{.seconds = -1, .nanoseconds = -1});
        const std::int64_t status = call(Syscall::clock_gettime, id, kResult).value_or(-9999);
        const auto time = get<timespec>(kResult);
        return status == 0 ? time.seconds * kSecond + time.nanoseconds : status;
    }
    std::optional<std::int64_t> sleep(std::uint64_t clock_id, std::uint64_t flags, std::int64_t seconds,
                                      std::int64_t nanoseconds, std::uint64_t left = 0) {
        put(kMemory, timespec{.seconds = seconds, .nanoseconds = nanoseconds});
        return call(Syscall::clock_nanosleep, clock_id, flags, kMemory, left);
    }
    // When the task that sleeps is woken.
    [[nodiscard]] std::int64_t deadline_ns() const { return task().wait.deadline.ns(); }
    void end_sleep() {
        ASSERT_TRUE(task::claim_wait(task().wait));
        task::expire_wait(task().wait);
        EXPECT_EQ(resume(0), 0);
    }
};

TEST_F(Time, EachClockTellsItsTime) {
    constexpr std::int64_t kSinceBoot = 5 * kSecond + 7;
    for (const std::int32_t id : {1, 4, 6, 7}) {
        EXPECT_EQ(clock(id), kSinceBoot) << id;
    }
    for (const std::int32_t id : {0, 5, 11}) {
        EXPECT_EQ(clock(id), kSinceBoot + 1000 * kSecond + 3) << id;
    }
    EXPECT_EQ(clock(2), 2 * kSecond + 22);
    EXPECT_EQ(clock(3), 11);
    for (const std::int32_t id : {8, 9, 10, 12, 1 << 20}) {
        EXPECT_EQ(clock(id), error(Error::InvalidArgument)) << id;
    }
    for (const std::uint64_t id : {0, 1}) {
        EXPECT_EQ(call(Syscall::clock_gettime, id, kNowhere), error(Error::BadAddress));
    }
}

TEST_F(Time, ClocksOfOthersAreNamedByTheirIds) {
    const auto of_process = [](TaskId id) { return static_cast<std::int32_t>(~id.value() << 3 | 2); };
    const auto of_thread = [](TaskId id) { return static_cast<std::int32_t>(~id.value() << 3 | 6); };
    const task::Task& stranger = add_process(false);
    EXPECT_EQ(clock(of_process(stranger.tid())), 2 * kSecond + 22);
    EXPECT_EQ(clock(of_thread(task(1).tid())), 11);
    EXPECT_EQ(clock(of_process(task(1).tid())), error(Error::InvalidArgument)) << "leads no process";
    EXPECT_EQ(clock(of_process(TaskId{31000})), error(Error::InvalidArgument));
    EXPECT_EQ(clock(of_thread(TaskId{31000})), error(Error::InvalidArgument));
    EXPECT_EQ(clock(of_thread(task(1).tid()) | 3), error(Error::InvalidArgument)) << "of no kind";
    EXPECT_EQ(clock(of_process(stranger.tid()) & ~3), 2 * kSecond + 22) << "every kind tells the same";
    process().rights = 0;
    EXPECT_EQ(clock(of_process(stranger.tid())), error(Error::InvalidArgument));
    EXPECT_EQ(clock(of_thread(stranger.tid())), error(Error::InvalidArgument));
    EXPECT_EQ(clock(of_thread(task(1).tid())), 11);
}

TEST_F(Time, ResolutionIsATickAndAtLeastANanosecond) {
    for (const auto& [hz, period] : {std::pair{10'000'000U, 100},
                                     {3U, 333'333'334},
                                     {4'000'000'000U, 1},
                                     {1'000'000'000U, 1},
                                     {999'999'999U, 2},
                                     {500'000'000U, 2},
                                     {1U, 1'000'000'000}}) {
        syscall::set_timebase_hz(hz);
        EXPECT_EQ(call(Syscall::clock_getres, 1, kResult), 0);
        const auto resolution = get<timespec>(kResult);
        EXPECT_EQ(resolution.seconds * kSecond + resolution.nanoseconds, period) << hz;
    }
    EXPECT_EQ(call(Syscall::clock_getres, 1, 0), 0) << "asks whether there is such a clock";
    EXPECT_EQ(call(Syscall::clock_getres, 9, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::clock_getres, 1, kNowhere), error(Error::BadAddress));
}

TEST_F(Time, ASleepEndsWhenItsTimeIsOver) {
    EXPECT_EQ(sleep(1, 0, 2, 5), std::nullopt);
    EXPECT_EQ(deadline_ns(), 7 * kSecond + 12);
    end_sleep();
    EXPECT_EQ(sleep(0, 0, 1, 0), std::nullopt);
    EXPECT_EQ(deadline_ns(), 6 * kSecond + 7) << "real time does not matter to a relative one";
    end_sleep();
    EXPECT_EQ(sleep(7, kAbsolute, 6, 0), std::nullopt);
    EXPECT_EQ(deadline_ns(), 6 * kSecond);
    end_sleep();
    for (const std::uint64_t id : {0, 11}) {
        EXPECT_EQ(sleep(id, kAbsolute, 1006, 3), std::nullopt);
        EXPECT_EQ(deadline_ns(), 6 * kSecond) << "since 1970";
        end_sleep();
    }
    put(kMemory, timespec{.seconds = 3, .nanoseconds = 1});
    EXPECT_EQ(call(Syscall::nanosleep, kMemory, 0), std::nullopt);
    EXPECT_EQ(deadline_ns(), 8 * kSecond + 8);
    end_sleep();
    EXPECT_EQ(sleep(1, 0, std::numeric_limits<std::int64_t>::max(), 0), std::nullopt);
    EXPECT_GT(deadline_ns(), std::numeric_limits<std::int64_t>::max() / 2) << "longer than can be counted";
}

TEST_F(Time, WhatIsOverIsNotWaitedFor) {
    EXPECT_EQ(sleep(1, 0, 0, 0), 0);
    EXPECT_EQ(sleep(1, kAbsolute, 5, 7), 0) << "right now";
    EXPECT_EQ(sleep(1, kAbsolute, 1, 0), 0);
    EXPECT_EQ(sleep(0, kAbsolute, 1, 0), 0) << "before boot";
    EXPECT_EQ(sleep(1, kAbsolute, 5, 8), std::nullopt);
}

TEST_F(Time, ASleepRefusesWhatIsNoTimeOrNoClock) {
    for (const std::uint64_t id : {2, 4, 5, 6}) {
        EXPECT_EQ(sleep(id, 0, 1, 0), error(Error::NotSupported)) << id;
    }
    for (const std::uint64_t id : {3, 8, 12}) {
        EXPECT_EQ(sleep(id, 0, 1, 0), error(Error::InvalidArgument)) << id;
    }
    EXPECT_EQ(sleep(1, 0, -1, 0), error(Error::InvalidArgument));
    EXPECT_EQ(sleep(1, 0, 1, -1), error(Error::InvalidArgument));
    EXPECT_EQ(sleep(1, 0, 1, kSecond), error(Error::InvalidArgument));
    EXPECT_EQ(sleep(1, 0, 1, kSecond - 1), std::nullopt);
    EXPECT_EQ(call_as(1, Syscall::nanosleep, {kNowhere, 0}), error(Error::BadAddress));
    EXPECT_EQ(call_as(1, Syscall::clock_nanosleep, {1, 0, kNowhere, 0}), error(Error::BadAddress));
}

TEST_F(Time, NobodySetsTheClock) {
    const auto set = [&](std::uint64_t id, const timespec& time) {
        put(kMemory, time);
        return call(Syscall::clock_settime, id, kMemory);
    };
    EXPECT_EQ(set(0, {.seconds = 1, .nanoseconds = 0}), error(Error::NotPermitted));
    EXPECT_EQ(set(1, {.seconds = 1, .nanoseconds = 0}), error(Error::InvalidArgument));
    EXPECT_EQ(set(0, {.seconds = -1, .nanoseconds = 0}), error(Error::InvalidArgument));
    EXPECT_EQ(set(0, {.seconds = 1, .nanoseconds = kSecond}), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::clock_settime, 0, kNowhere), error(Error::BadAddress));
    const auto set_day = [&](const timeval& time) {
        put(kMemory, time);
        return call(Syscall::settimeofday, kMemory, 0);
    };
    EXPECT_EQ(set_day({.seconds = 0, .microseconds = 0}), error(Error::NotPermitted));
    EXPECT_EQ(set_day({.seconds = 1, .microseconds = 999'999}), error(Error::NotPermitted));
    EXPECT_EQ(set_day({.seconds = 1, .microseconds = 1'000'000}), error(Error::InvalidArgument));
    EXPECT_EQ(set_day({.seconds = -1, .microseconds = 0}), error(Error::InvalidArgument));
    EXPECT_EQ(set_day({.seconds = 1, .microseconds = -1}), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::settimeofday, 0, 0), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::settimeofday, kNowhere, 0), error(Error::BadAddress));
}

TEST_F(Time, ADayIsToldInMicroseconds) {
    EXPECT_EQ(call(Syscall::gettimeofday, kResult, 0), 0);
    EXPECT_EQ(get<timeval>(kResult).seconds, 1005);
    EXPECT_EQ(get<timeval>(kResult).microseconds, 0);
    arch::host::advance(Duration::nanoseconds(123'456'789));
    EXPECT_EQ(call(Syscall::gettimeofday, kResult, 0), 0);
    EXPECT_EQ(get<timeval>(kResult).microseconds, 123'456);
    EXPECT_EQ(call(Syscall::gettimeofday, 0, 0), 0);
    EXPECT_EQ(call(Syscall::gettimeofday, kNowhere, 0), error(Error::BadAddress));
}

TEST_F(Time, AdjustingTellsOfAClockThatNobodyAdjusts) {
    nexus_abi::timex_t asked{};
    put(kMemory, asked);
    EXPECT_EQ(call(Syscall::adjtimex, kMemory), 5) << "TIME_ERROR";
    const auto told = get<nexus_abi::timex_t>(kMemory);
    EXPECT_EQ(told.status, 0x40);
    EXPECT_EQ(told.time.seconds, 1005);
    EXPECT_EQ(told.tick, 10'000);
    EXPECT_EQ(told.constant, 2);
    EXPECT_EQ(told.precision, 1);
    EXPECT_EQ(told.tolerance, 32'768'000);
    EXPECT_EQ(told.maximum_error, 16'000'000);
    EXPECT_EQ(told.offset, 0);
    EXPECT_EQ(told.frequency, 0);
    EXPECT_EQ(told.tai, 0);
    EXPECT_EQ(call(Syscall::clock_adjtime, 0, kMemory), 5);
    EXPECT_EQ(call(Syscall::clock_adjtime, 1, kMemory), error(Error::NotSupported));
    EXPECT_EQ(call(Syscall::clock_adjtime, 9, kMemory), error(Error::InvalidArgument));
    asked.modes = 1;
    put(kMemory, asked);
    EXPECT_EQ(call(Syscall::adjtimex, kMemory), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::adjtimex, kNowhere), error(Error::BadAddress));
}

}  // namespace
}  // namespace kernel
