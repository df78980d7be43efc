// SPDX-License-Identifier: MIT
// Clocks, sleeps and timers, on a clock that the test moves.
#include <array>
#include <functional>

#include "nexus_abi/linux.hpp"
#include "world.hpp"

namespace kernel::whole {
namespace {

using nexus_abi::itimerspec;
using nexus_abi::itimerval;
using nexus_abi::timespec;

constexpr std::uint64_t kBadAddress = 0x10;
constexpr std::uint64_t kIn = kMemory + 0x1000;
constexpr std::uint64_t kOut = kMemory + 0x2000;
constexpr std::uint64_t kHandler = kText + 0x900;

constexpr std::uint64_t kSigUsr1 = 10;
constexpr std::uint64_t kSigAlarm = 14;
constexpr std::uint64_t kSigProfile = 27;
constexpr std::int64_t kMs = 1'000'000;
constexpr std::uint64_t kAbsolute = 1;
enum Clock : std::uint64_t {
    kRealtime = 0,
    kMonotonic = 1,
    kProcessCpu = 2,
    kThreadCpu = 3,
    kRaw = 4,
    kBootTime = 7
};

class Times : public WholeKernelTest {
  protected:
    std::uint64_t put_time(std::int64_t nanoseconds) {
        put(kIn,
            timespec{.seconds = nanoseconds / 1'000'000'000, .nanoseconds = nanoseconds % 1'000'000'000});
        return kIn;
    }
    std::int64_t time_at(std::uint64_t address) {
        const auto time = get<timespec>(address);
        return time.seconds * 1'000'000'000 + time.nanoseconds;
    }
    std::int64_t read_clock(std::uint64_t clock) {
        EXPECT_EQ(call(Syscall::clock_gettime, clock, kOut), 0) << clock;
        return time_at(kOut);
    }
    std::uint64_t put_timer(std::int64_t value_ns, std::int64_t interval_ns) {
        put(kIn, itimerspec{.interval = {.seconds = interval_ns / 1'000'000'000,
                                         .nanoseconds = interval_ns % 1'000'000'000},
                            .value = {.seconds = value_ns / 1'000'000'000,
                                      .nanoseconds = value_ns % 1'000'000'000}});
        return kIn;
    }
    void handle(std::uint64_t signal) {
        put(kOut, nexus_abi::kernel_sigaction{.handler = kHandler, .flags = 0, .mask = 0});
        EXPECT_EQ(call(Syscall::rt_sigaction, signal, kOut, 0, 8), 0);
    }
    void block(std::uint64_t signal) {
        put(kOut, std::uint64_t{1} << (signal - 1));
        EXPECT_EQ(call(Syscall::rt_sigprocmask, 0, kOut, 0, 8), 0);
    }
    bool is_pending(std::uint64_t signal) {
        EXPECT_EQ(call(Syscall::rt_sigpending, kOut, 8), 0);
        return (get<std::uint64_t>(kOut) >> (signal - 1) & 1) != 0;
    }
};

TEST_F(Times, ClocksShowTheirTimes) {
    const std::int64_t before = read_clock(kMonotonic);
    pass(Duration::milliseconds(10));
    EXPECT_GE(read_clock(kMonotonic), before + 10 * kMs);
    EXPECT_GE(read_clock(kRealtime), read_clock(kMonotonic) + 999'999 * 1'000'000'000LL);
    EXPECT_GE(read_clock(kBootTime), before);
    EXPECT_GE(read_clock(kRaw), before);
    EXPECT_GT(read_clock(kProcessCpu), 0);
    EXPECT_GT(read_clock(kThreadCpu), 0);
    EXPECT_EQ(call(Syscall::clock_gettime, 77, kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::clock_gettime, kMonotonic, kBadAddress), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::clock_gettime, kRealtime, kBadAddress), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::clock_getres, kMonotonic, kOut), 0);
    EXPECT_EQ(time_at(kOut), 100) << "of 10 MHz";
    EXPECT_EQ(call(Syscall::clock_getres, kMonotonic, 0), 0);
    EXPECT_EQ(call(Syscall::clock_getres, 77, kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::gettimeofday, kOut, 0), 0);
    EXPECT_GE(get<nexus_abi::timeval>(kOut).seconds, 1'000'000);
    EXPECT_EQ(call(Syscall::gettimeofday, 0, 0), 0);
}

TEST_F(Times, CpuClocksOfOthersAreNamedByTheirIds) {
    const auto clock_of = [](std::uint32_t id, std::int64_t kind) {
        return static_cast<std::uint64_t>(~std::int64_t{id} << 3 | kind);
    };
    task::Task& thread = this->thread();
    pass(Duration::milliseconds(50));
    EXPECT_GT(read_clock(clock_of(self().tid().value(), 2)), 0) << "process";
    EXPECT_GT(read_clock(clock_of(thread.tid().value(), 6)), 0) << "thread";
    EXPECT_EQ(call(Syscall::clock_gettime, clock_of(9999, 2), kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::clock_gettime, clock_of(9999, 6), kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::clock_gettime, clock_of(1, 3), kOut), error(Error::InvalidArgument));
}

TEST_F(Times, NobodySetsAClock) {
    EXPECT_EQ(call(Syscall::clock_settime, kRealtime, put_time(1)), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::clock_settime, kMonotonic, kIn), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::clock_settime, kRealtime, kBadAddress), error(Error::BadAddress));
    put(kIn, timespec{.seconds = 0, .nanoseconds = -1});
    EXPECT_EQ(call(Syscall::clock_settime, kRealtime, kIn), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::settimeofday, 0, 0), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::settimeofday, kIn, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::settimeofday, kBadAddress, 0), error(Error::BadAddress));
    put(kIn, nexus_abi::timex_t{});
    EXPECT_EQ(call(Syscall::adjtimex, kIn), 5);
    EXPECT_EQ(get<nexus_abi::timex_t>(kIn).status, 0x40);
    EXPECT_EQ(call(Syscall::clock_adjtime, kRealtime, kIn), 5);
    EXPECT_EQ(call(Syscall::clock_adjtime, kMonotonic, kIn), error(Error::NotSupported));
    EXPECT_EQ(call(Syscall::clock_adjtime, 77, kIn), error(Error::InvalidArgument));
    put(kIn, std::uint32_t{1});
    EXPECT_EQ(call(Syscall::adjtimex, kIn), error(Error::NotPermitted));
    EXPECT_EQ(call(Syscall::adjtimex, kBadAddress), error(Error::BadAddress));
}

TEST_F(Times, SleepsEndAtTheirTimes) {
    const Instant before = now();
    EXPECT_EQ(call(Syscall::nanosleep, put_time(20 * kMs), 0), std::nullopt);
    pass(Duration::milliseconds(19));
    EXPECT_EQ(result_of(self()), std::nullopt);
    pass(Duration::milliseconds(3));
    EXPECT_EQ(result_of(self()), 0);
    EXPECT_GE(now() - before, Duration::milliseconds(20));
    EXPECT_EQ(call(Syscall::clock_nanosleep, kRealtime, kAbsolute, put_time(1), 0), 0) << "long ago";
    EXPECT_EQ(call(Syscall::clock_nanosleep, kMonotonic, kAbsolute, put_time(now().ns() + 5 * kMs), 0),
              std::nullopt);
    pass(Duration::milliseconds(7));
    EXPECT_EQ(result_of(self()), 0);
    EXPECT_EQ(call(Syscall::clock_nanosleep, kProcessCpu, 0, kIn, 0), error(Error::NotSupported));
    EXPECT_EQ(call(Syscall::clock_nanosleep, kThreadCpu, 0, kIn, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::clock_nanosleep, 77, 0, kIn, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::clock_nanosleep, kMonotonic, 0, kBadAddress, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::nanosleep, kBadAddress, 0), error(Error::BadAddress));
    put(kIn, timespec{.seconds = 0, .nanoseconds = 1'000'000'000});
    EXPECT_EQ(call(Syscall::nanosleep, kIn, 0), error(Error::InvalidArgument));
}

TEST_F(Times, AnInterruptedSleepTellsWhatIsLeft) {
    for (const bool is_clock : {false, true}) {
        handle(kSigUsr1);
        put_time(1000 * kMs);
        EXPECT_EQ(is_clock ? call(Syscall::clock_nanosleep, kMonotonic, 0, kIn, kOut + 64)
                           : call(Syscall::nanosleep, kIn, kOut + 64),
                  std::nullopt);
        pass(Duration::milliseconds(400));
        EXPECT_EQ(call_as(init(), Syscall::kill, self().tid().value(), kSigUsr1), 0);
        EXPECT_EQ(result_of(self()), static_cast<std::int64_t>(kSigUsr1));
        EXPECT_EQ(self().frame.pc, kHandler);
        EXPECT_EQ(call(Syscall::rt_sigreturn), error(Error::Interrupted));
        EXPECT_GT(time_at(kOut + 64), 500 * kMs);
        EXPECT_LT(time_at(kOut + 64), 601 * kMs);
    }
}

TEST_F(Times, ASleepGoesOnBehindAStop) {
    constexpr std::uint64_t kSigStop = 19;
    constexpr std::uint64_t kSigCont = 18;
    const Instant before = now();
    EXPECT_EQ(call(Syscall::nanosleep, put_time(100 * kMs), kOut + 64), std::nullopt);
    EXPECT_EQ(call_as(init(), Syscall::kill, self().tid().value(), kSigStop), 0);
    pass(Duration::milliseconds(20));
    EXPECT_EQ(call_as(init(), Syscall::kill, self().tid().value(), kSigCont), 0);
    EXPECT_EQ(result_of(self()), std::nullopt);
    pass(Duration::milliseconds(90));
    EXPECT_EQ(result_of(self()), 0);
    EXPECT_LT(now() - before, Duration::milliseconds(130)) << "until its first deadline";
}

TEST_F(Times, IntervalTimersSendTheirSignals) {
    block(kSigAlarm);
    put(kIn, itimerval{.interval = {.seconds = 0, .microseconds = 30'000},
                       .value = {.seconds = 0, .microseconds = 50'000}});
    EXPECT_EQ(call(Syscall::setitimer, 0, kIn, kOut + 64), 0);
    EXPECT_EQ(get<itimerval>(kOut + 64).value.microseconds, 0) << "none before";
    pass(Duration::milliseconds(40));
    EXPECT_FALSE(is_pending(kSigAlarm));
    EXPECT_EQ(call(Syscall::getitimer, 0, kOut + 64), 0);
    EXPECT_LE(get<itimerval>(kOut + 64).value.microseconds, 10'000);
    EXPECT_EQ(get<itimerval>(kOut + 64).interval.microseconds, 30'000);
    pass(Duration::milliseconds(15));
    EXPECT_TRUE(is_pending(kSigAlarm));
    put(kIn, itimerval{});
    EXPECT_EQ(call(Syscall::setitimer, 0, kIn, kOut + 64), 0);
    EXPECT_GT(get<itimerval>(kOut + 64).value.microseconds, 0);
    EXPECT_EQ(call(Syscall::setitimer, 3, kIn, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::setitimer, 0, kBadAddress, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::getitimer, 3, kOut), error(Error::InvalidArgument));
    put(kIn, itimerval{.interval = {.seconds = 0, .microseconds = 1'000'000}, .value = {}});
    EXPECT_EQ(call(Syscall::setitimer, 0, kIn, 0), error(Error::InvalidArgument));
}

TEST_F(Times, CpuTimersCountWhatRuns) {
    block(kSigProfile);
    put(kIn, itimerval{.interval = {}, .value = {.seconds = 0, .microseconds = 200'000}});
    EXPECT_EQ(call(Syscall::setitimer, 2, kIn, 0), 0);
    put_time(1000 * kMs);
    EXPECT_EQ(call(Syscall::nanosleep, kIn, 0), std::nullopt);
    pass(Duration::milliseconds(1005));
    EXPECT_EQ(result_of(self()), 0);
    EXPECT_FALSE(is_pending(kSigProfile)) << "it slept";
    bring_on(self());
    pass(Duration::milliseconds(500));
    EXPECT_TRUE(is_pending(kSigProfile));
}

TEST_F(Times, TimersGoOffAndCountOverruns) {
    block(kSigUsr1);
    put(kIn, nexus_abi::sigevent_t{.value = 0x1234,
                                   .signal = static_cast<std::int32_t>(kSigUsr1),
                                   .notify = 0,
                                   .thread = 0,
                                   .unused = {}});
    EXPECT_EQ(call(Syscall::timer_create, kMonotonic, kIn, kOut), 0);
    const auto id = get<std::uint32_t>(kOut);
    EXPECT_EQ(call(Syscall::timer_settime, id, 0, put_timer(10 * kMs, 10 * kMs), kOut), 0);
    EXPECT_EQ(get<itimerspec>(kOut).value.nanoseconds, 0);
    pass(Duration::milliseconds(5));
    EXPECT_EQ(call(Syscall::timer_gettime, id, kOut), 0);
    EXPECT_GT(get<itimerspec>(kOut).value.nanoseconds, 0);
    EXPECT_LE(get<itimerspec>(kOut).value.nanoseconds, 5 * kMs);
    pass(Duration::milliseconds(30));
    EXPECT_TRUE(is_pending(kSigUsr1));
    put(kIn, std::uint64_t{1} << (kSigUsr1 - 1));
    EXPECT_EQ(call(Syscall::rt_sigtimedwait, kIn, kOut, 0, 8), static_cast<std::int64_t>(kSigUsr1));
    EXPECT_EQ(get<nexus_abi::siginfo>(kOut).code, -2) << "SI_TIMER";
    EXPECT_GE(call(Syscall::timer_getoverrun, id), 1);
    EXPECT_EQ(call(Syscall::timer_settime, id, kAbsolute, put_timer(now().ns() + 20 * kMs, 0), 0), 0);
    pass(Duration::milliseconds(25));
    EXPECT_TRUE(is_pending(kSigUsr1));
    EXPECT_EQ(call(Syscall::timer_delete, id), 0);
    EXPECT_EQ(call(Syscall::timer_delete, id), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::timer_settime, id, 0, put_timer(1, 0), 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::timer_gettime, id, kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::timer_getoverrun, id), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::timer_delete, 5000), error(Error::InvalidArgument));
}

TEST_F(Times, TimersKnowWhomToTell) {
    const auto create = [&](std::uint64_t clock, std::int32_t signal, std::int32_t notify,
                            std::uint32_t thread) {
        put(kIn, nexus_abi::sigevent_t{.value = 0,
                                       .signal = signal,
                                       .notify = notify,
                                       .thread = static_cast<std::int32_t>(thread),
                                       .unused = {}});
        return call(Syscall::timer_create, clock, kIn, kOut);
    };
    EXPECT_EQ(create(kMonotonic, 99, 0, 0), error(Error::InvalidArgument)) << "no such signal";
    EXPECT_EQ(create(kMonotonic, 10, 7, 0), error(Error::InvalidArgument)) << "no such way";
    EXPECT_EQ(create(kMonotonic, 10, 4, 1), error(Error::InvalidArgument)) << "another's thread";
    EXPECT_EQ(create(kRaw, 10, 0, 0), error(Error::NotSupported));
    EXPECT_EQ(create(77, 10, 0, 0), error(Error::InvalidArgument));
    EXPECT_EQ(create(static_cast<std::uint64_t>(~std::int64_t{9999} << 3 | 2), 10, 0, 0),
              error(Error::InvalidArgument));
    EXPECT_EQ(create(static_cast<std::uint64_t>(~std::int64_t{9999} << 3 | 6), 10, 0, 0),
              error(Error::InvalidArgument));
    EXPECT_EQ(create(static_cast<std::uint64_t>(~std::int64_t{0} << 3 | 3), 10, 0, 0),
              error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::timer_create, kMonotonic, kBadAddress, kOut), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::timer_create, kMonotonic, 0, kBadAddress), error(Error::BadAddress));
    EXPECT_EQ(create(kMonotonic, 10, 1, 0), 0) << "nobody";
    EXPECT_EQ(create(kThreadCpu, 10, 4, self().tid().value()), 0);
    EXPECT_EQ(create(kProcessCpu, 10, 0, 0), 0);
    EXPECT_EQ(create(kRealtime, 10, 0, 0), 0);
    EXPECT_EQ(call(Syscall::timer_create, kMonotonic, 0, kOut), 0) << "SIGALRM";
    EXPECT_EQ(call(Syscall::timer_settime, get<std::uint32_t>(kOut), 0, kBadAddress, 0),
              error(Error::BadAddress));
    put(kIn, itimerspec{.interval = {}, .value = {.seconds = -1, .nanoseconds = 0}});
    EXPECT_EQ(call(Syscall::timer_settime, get<std::uint32_t>(kOut), 0, kIn, 0),
              error(Error::InvalidArgument));
    for (std::uint32_t i = 5; i < 32; ++i) {
        EXPECT_EQ(call(Syscall::timer_create, kMonotonic, 0, kOut), 0) << i;
    }
    EXPECT_EQ(call(Syscall::timer_create, kMonotonic, 0, kOut), error(Error::TryAgain));
}

TEST_F(Times, TimerFilesAreRead) {
    constexpr std::uint64_t kNonBlocking = 04000;
    EXPECT_EQ(call(Syscall::timerfd_create, 5, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::timerfd_create, kMonotonic, 1), error(Error::InvalidArgument));
    const auto fd = call(Syscall::timerfd_create, kMonotonic, kNonBlocking).value_or(-1);
    EXPECT_EQ(call(Syscall::read, fd, kOut, 8), error(Error::TryAgain));
    EXPECT_EQ(call(Syscall::timerfd_settime, fd, 0, put_timer(10 * kMs, 5 * kMs), kOut), 0);
    pass(Duration::milliseconds(22));
    EXPECT_EQ(call(Syscall::read, fd, kOut, 4), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::read, fd, kOut, 8), 8);
    EXPECT_EQ(get<std::uint64_t>(kOut), 3U);
    EXPECT_EQ(call(Syscall::timerfd_gettime, fd, kOut), 0);
    EXPECT_EQ(get<itimerspec>(kOut).interval.nanoseconds, 5 * kMs);
    EXPECT_EQ(call(Syscall::timerfd_settime, fd, kAbsolute, put_timer(1, 0), 0), 0) << "long ago";
    EXPECT_EQ(call(Syscall::read, fd, kOut, 8), 8);
    EXPECT_EQ(call(Syscall::timerfd_settime, fd, 8, kIn, 0), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::timerfd_settime, 0, 0, kIn, 0), error(Error::InvalidArgument)) << "no timer";
    EXPECT_EQ(call(Syscall::timerfd_settime, 99, 0, kIn, 0), error(Error::BadDescriptor));
    EXPECT_EQ(call(Syscall::timerfd_settime, fd, 0, kBadAddress, 0), error(Error::BadAddress));
    EXPECT_EQ(call(Syscall::timerfd_gettime, 0, kOut), error(Error::InvalidArgument));
    EXPECT_EQ(call(Syscall::timerfd_gettime, 99, kOut), error(Error::BadDescriptor));
    const auto waiting = call(Syscall::timerfd_create, kRealtime, 0).value_or(-1);
    EXPECT_EQ(call(Syscall::timerfd_settime, waiting, 0, put_timer(10 * kMs, 0), 0), 0);
    EXPECT_EQ(call(Syscall::read, waiting, kOut, 8), std::nullopt);
    pass(Duration::milliseconds(15));
    EXPECT_EQ(result_of(self()), 8);
    EXPECT_EQ(get<std::uint64_t>(kOut), 1U);
}

}  // namespace
}  // namespace kernel::whole
