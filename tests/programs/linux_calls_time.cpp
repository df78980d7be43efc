// SPDX-License-Identifier: MIT
// The Linux block's clocks and sleeps. A sleep may end late but not early; nothing else is asserted of time.
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "checks.hpp"

namespace {

using checks::bad_pointer;
using checks::equal;
using checks::fails;
using checks::succeeds;
using checks::truth;

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr std::int64_t kNap = 10'000'000;  // ns
constexpr clockid_t kClocks = 8;           // CLOCK_REALTIME .. CLOCK_BOOTTIME

std::int64_t to_ns(const timespec& time) {
    return time.tv_sec * kNsPerSecond + time.tv_nsec;
}

timespec to_timespec(std::int64_t ns) {
    return {.tv_sec = ns / kNsPerSecond, .tv_nsec = ns % kNsPerSecond};
}

std::int64_t now(clockid_t clock) {
    timespec time{};
    succeeds("clock_gettime", clock_gettime(clock, &time));
    return to_ns(time);
}

// The system calls themselves: the C library returns errors of some in another way.
long nap(const timespec* time, timespec* remaining = nullptr) {
    return syscall(SYS_nanosleep, time, remaining);
}
long nap_by(clockid_t clock, int flags, const timespec& time) {
    return syscall(SYS_clock_nanosleep, clock, flags, &time, nullptr);
}

void read_clocks() {
    timespec time{};
    for (clockid_t clock = 0; clock < kClocks; ++clock) {
        const std::int64_t before = now(clock);
        truth("it does not run backwards", now(clock) >= before);
        succeeds("its resolution", clock_getres(clock, &time));
        truth("is finer than a millisecond", to_ns(time) > 0 && to_ns(time) < 1'000'000);
    }
    fails("an unknown clock", clock_gettime(77, &time), EINVAL);
    fails("an unknown clock's resolution", clock_getres(77, &time), EINVAL);
    fails("a time for the kernel", clock_gettime(CLOCK_MONOTONIC, bad_pointer<timespec>()), EFAULT);

    // The raw and the boot clock are the monotonic one.
    const std::int64_t first = now(CLOCK_MONOTONIC);
    const std::int64_t second = now(CLOCK_BOOTTIME);
    const std::int64_t third = now(CLOCK_MONOTONIC_RAW);
    truth("one clock with three names", first <= second && second <= third && third <= now(CLOCK_MONOTONIC));

    const std::int64_t earlier = now(CLOCK_REALTIME);
    const std::int64_t atomic = now(CLOCK_TAI);
    truth("no leap seconds were set", earlier <= atomic && atomic <= now(CLOCK_REALTIME));

    timeval of_day{};
    const std::int64_t real = now(CLOCK_REALTIME);
    succeeds("gettimeofday", gettimeofday(&of_day, nullptr));
    truth("it is the real time", of_day.tv_sec * kNsPerSecond + of_day.tv_usec * 1000 >= real / 1000 * 1000);
    // 2023-11-14, before any machine this can run on was set.
    truth("somebody told the time", real > 1'700'000'000 * kNsPerSecond);
}

void read_cpu_clocks() {
    clockid_t clock = 0;
    equal("a thread's clock", pthread_getcpuclockid(pthread_self(), &clock), 0);
    const std::int64_t own = now(CLOCK_THREAD_CPUTIME_ID);
    truth("the same by its id", now(clock) >= own);
    truth("the process's is not behind", now(CLOCK_PROCESS_CPUTIME_ID) >= own);
    // Work is charged and sleep is not.
    const std::int64_t before = now(CLOCK_THREAD_CPUTIME_ID);
    const std::int64_t start = now(CLOCK_MONOTONIC);
    const timespec time = to_timespec(20 * kNap);
    succeeds("a sleep", nap(&time));
    const std::int64_t slept = now(CLOCK_MONOTONIC) - start;
    truth("a sleep costs no cpu time", now(CLOCK_THREAD_CPUTIME_ID) - before < slept / 2);
    timespec working{};
    for (const std::int64_t end = now(CLOCK_MONOTONIC) + kNap; to_ns(working) < end;) {
        clock_gettime(CLOCK_MONOTONIC, &working);
    }
    truth("work does", now(CLOCK_THREAD_CPUTIME_ID) > before);

    rusage usage{};
    for (const int who : {RUSAGE_SELF, RUSAGE_THREAD, RUSAGE_CHILDREN}) {
        succeeds("getrusage", syscall(SYS_getrusage, who, &usage));
    }
    fails("getrusage of others", syscall(SYS_getrusage, 5, &usage), EINVAL);
    succeeds("getrusage again", getrusage(RUSAGE_THREAD, &usage));
    truth("its user time",
          usage.ru_utime.tv_sec * kNsPerSecond + usage.ru_utime.tv_usec * 1000 >= own / 1000 * 1000);
    truth("its sleeps", usage.ru_nvcsw >= 1);
    tms ticks{};
    truth("times", times(&ticks) > 0 && ticks.tms_utime >= own / 10'000'000);
    fails("times for the kernel", syscall(SYS_times, bad_pointer<tms>()), EFAULT);
}

void sleep_for() {
    const timespec time = to_timespec(kNap);
    std::int64_t start = now(CLOCK_MONOTONIC);
    succeeds("nanosleep", nap(&time));
    truth("long enough", now(CLOCK_MONOTONIC) - start >= kNap);
    start = now(CLOCK_MONOTONIC);
    succeeds("by the monotonic clock", nap_by(CLOCK_MONOTONIC, 0, time));
    truth("long enough", now(CLOCK_MONOTONIC) - start >= kNap);
    start = now(CLOCK_REALTIME);
    succeeds("by the real time", nap_by(CLOCK_REALTIME, 0, time));
    truth("long enough", now(CLOCK_REALTIME) - start >= kNap);
    const timespec nothing{};
    succeeds("no time", nap(&nothing));

    const timespec wrong{.tv_sec = 0, .tv_nsec = kNsPerSecond};
    const timespec negative{.tv_sec = -1, .tv_nsec = 0};
    fails("too many nanoseconds", nap(&wrong), EINVAL);
    fails("a negative time", nap(&negative), EINVAL);
    fails("a time of the kernel", nap(bad_pointer<timespec>()), EFAULT);
    fails("by an unknown clock", nap_by(77, 0, time), EINVAL);
    fails("by the own cpu time", nap_by(CLOCK_THREAD_CPUTIME_ID, 0, time), EINVAL);
}

void sleep_until() {
    for (const clockid_t clock : {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_TAI}) {
        const std::int64_t wake = now(clock) + kNap;
        succeeds("until a time", nap_by(clock, TIMER_ABSTIME, to_timespec(wake)));
        truth("it has come", now(clock) >= wake);
        succeeds("until a time long ago", nap_by(clock, TIMER_ABSTIME, to_timespec(1)));
        fails("until no time", nap_by(clock, TIMER_ABSTIME, {.tv_sec = 0, .tv_nsec = kNsPerSecond}), EINVAL);
    }
}

// Nobody sets or adjusts the clock.
void leave_the_clock_alone() {
    timespec time{1'700'000'000, 0};
    fails("clock_settime", clock_settime(CLOCK_REALTIME, &time), EPERM);
    fails("of another clock", clock_settime(CLOCK_MONOTONIC, &time), EINVAL);
    time.tv_nsec = kNsPerSecond;
    fails("to no time", clock_settime(CLOCK_REALTIME, &time), EINVAL);
    fails("to the kernel's", syscall(SYS_clock_settime, CLOCK_REALTIME, bad_pointer<timespec>()), EFAULT);
    timeval coarse{1'700'000'000, 0};
    fails("settimeofday", settimeofday(&coarse, nullptr), EPERM);
    coarse.tv_usec = 1'000'000;
    fails("to no time", settimeofday(&coarse, nullptr), EINVAL);
    fails("to the kernel's", syscall(SYS_settimeofday, bad_pointer<timeval>(), nullptr), EFAULT);

    timex told{};
    const std::int64_t before = now(CLOCK_REALTIME);
    equal("adjtimex", adjtimex(&told), TIME_ERROR);
    const std::int64_t after = now(CLOCK_REALTIME);
    const std::int64_t at = told.time.tv_sec * kNsPerSecond + told.time.tv_usec * 1000;
    truth("the time", at >= before - 1000 && at <= after);
    equal("microseconds a tick", told.tick, 10'000);
    equal("as fast as it is", told.freq, 0);
    equal("nobody looks after it", told.status, STA_UNSYNC);
    equal("clock_adjtime", clock_adjtime(CLOCK_REALTIME, &told), TIME_ERROR);
    fails("of another clock", clock_adjtime(CLOCK_MONOTONIC, &told), EOPNOTSUPP);
    fails("of no clock", clock_adjtime(99, &told), EINVAL);
    told.modes = ADJ_FREQUENCY;
    fails("adjust", adjtimex(&told), EPERM);
    fails("the kernel's", syscall(SYS_adjtimex, bad_pointer<timex>()), EFAULT);
}

constexpr checks::Case kCases[]{
    {"read clocks", read_clocks},
    {"read cpu clocks", read_cpu_clocks},
    {"sleep for", sleep_for},
    {"sleep until", sleep_until},
    {"leave the clock alone", leave_the_clock_alone},
};

}  // namespace

int main(int, char** argv) {
    return checks::run(argv[0], kCases);
}
