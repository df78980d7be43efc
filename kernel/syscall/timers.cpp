// SPDX-License-Identifier: MIT
// setitimer(2) and timer_create(2). What alarms do is in task/alarm.cpp.
#include <array>

#include "arch/contract.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/time.hpp"
#include "syscall/time_values.hpp"
#include "task/alarm.hpp"
#include "task/lifecycle.hpp"
#include "task/signal.hpp"

namespace kernel::syscall {

namespace {

// include/uapi/linux/time.h, asm-generic/siginfo.h
constexpr std::int32_t kClockRealtime = 0;
constexpr std::int32_t kClockMonotonic = 1;
constexpr std::int32_t kClockBootTime = 7;
constexpr std::int32_t kClockTai = 11;
constexpr std::uint32_t kTimerAbsolute = 1;
constexpr std::int32_t kClockProcessCpu = 2;
constexpr std::int32_t kClockThreadCpu = 3;
constexpr std::int32_t kNotifySignal = 0;
constexpr std::int32_t kNotifyNone = 1;
constexpr std::int32_t kNotifyThread = 4;  // SIGEV_THREAD_ID
constexpr std::int64_t kMicrosecondsPerSecond = 1'000'000;

itimerspec to_itimerspec(const task::AlarmTime& time) {
    return {.interval = to_timespec(time.interval), .value = to_timespec(time.left)};
}

itimerval to_itimerval(const task::AlarmTime& time) {
    // What is left is never shown as nothing.
    const Duration left =
        !time.left.is_zero() && time.left < Duration::microseconds(1) ? Duration::microseconds(1) : time.left;
    return {.interval = to_timeval(time.interval), .value = to_timeval(left)};
}

Result<Duration> from_timeval(const timeval& time) {
    if (time.microseconds < 0 || time.microseconds >= kMicrosecondsPerSecond) {
        return Error::InvalidArgument;
    }
    return from_timespec({.seconds = time.seconds, .nanoseconds = time.microseconds * kNsPerMicrosecond});
}

Result<task::AlarmNotice> read_notice(Caller& caller, In<sigevent_t> event) {
    const sigevent_t wanted = TRY(mm::copy_in(caller.space(), event));
    const auto number = static_cast<std::uint32_t>(wanted.signal);
    if (wanted.notify == kNotifyNone) {
        return task::AlarmNotice{.value = wanted.value};
    }
    if ((wanted.notify != kNotifySignal && wanted.notify != (kNotifySignal | kNotifyThread)) ||
        !task::signal::is_valid(number)) {
        return Error::InvalidArgument;
    }
    task::AlarmNotice notice{.signal = number, .value = wanted.value};
    if (wanted.notify == (kNotifySignal | kNotifyThread)) {
        notice.thread = TaskId{static_cast<std::uint32_t>(wanted.thread)};
        const Ref<task::Task> thread = task::find_task(notice.thread);
        if (!thread || &thread->process() != &caller.process) {
            return Error::InvalidArgument;
        }
    }
    return notice;
}

// What a timer of this clock counts: of the caller's own process and threads. CPU clocks by id are encoded as
// clock_gettime() takes them. Errors: InvalidArgument, NotSupported.
Result<void> read_clock(Caller& caller, std::int32_t clock, task::AlarmNotice& notice) {
    constexpr std::int32_t kOfThread = 4;
    constexpr std::int32_t kKindMask = 3;
    constexpr std::int32_t kKinds = 3;
    switch (clock) {
        case kClockRealtime:
        case kClockMonotonic:
        case kClockBootTime:
        case kClockTai:
            notice.counts_from_1970 = clock == kClockRealtime || clock == kClockTai;
            return {};
        case kClockProcessCpu:
            notice.clock = task::AlarmClock::ProcessCpu;
            return {};
        case kClockThreadCpu:
            notice.clock = task::AlarmClock::ThreadCpu;
            notice.measured = caller.task.tid();
            return {};
        default:
            break;
    }
    if (clock >= 0) {
        return clock < kClockBootTime ? Error::NotSupported : Error::InvalidArgument;
    }
    if ((clock & kKindMask) >= kKinds) {
        return Error::InvalidArgument;
    }
    const auto id = static_cast<std::uint32_t>(~(clock >> 3));
    if ((clock & kOfThread) == 0) {
        notice.clock = task::AlarmClock::ProcessCpu;
        return id == 0 || TaskId{id} == caller.process.pid() ? Result<void>{} : Error::InvalidArgument;
    }
    notice.clock = task::AlarmClock::ThreadCpu;
    notice.measured = id == 0 ? caller.task.tid() : TaskId{id};
    const Ref<task::Task> thread = task::find_task(notice.measured);
    return thread && &thread->process() == &caller.process ? Result<void>{} : Error::InvalidArgument;
}

// ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF. All CPU time counts as the program's own.
Result<Ref<task::Alarm>> interval_timer(Caller& caller, std::int32_t which) {
    constexpr std::array<task::AlarmNotice, task::kIntervalTimers> kNotices{{
        {.signal = task::signal::kAlarm},
        {.signal = task::signal::kVirtualAlarm, .clock = task::AlarmClock::ProcessCpu},
        {.signal = task::signal::kProfiling, .clock = task::AlarmClock::ProcessCpu},
    }};
    const auto number = static_cast<std::uint32_t>(which);
    if (number >= kNotices.size()) {
        return Error::InvalidArgument;
    }
    return caller.process.alarms.interval_timer(caller.process, number, kNotices[number]);
}

}  // namespace

SysResult sys_timer_create(Caller& caller, std::int32_t clock, In<sigevent_t> event, Out<std::int32_t> id) {
    task::AlarmNotice notice{.signal = task::signal::kAlarm};
    if (!event.is_null()) {
        const auto wanted = read_notice(caller, event);
        if (!wanted.ok()) {
            return wanted.error();
        }
        notice = *wanted;
    }
    if (const auto read = read_clock(caller, clock, notice); !read.ok()) {
        return read.error();
    }
    notice.has_value = !event.is_null();
    const auto created = caller.process.alarms.create(caller.process, notice);
    if (!created.ok()) {
        return created.error();
    }
    const auto copied = mm::copy_out(caller.space(), id, static_cast<std::int32_t>(*created));
    if (!copied.ok()) {
        static_cast<void>(caller.process.alarms.remove(*created));
    }
    return copied;
}

SysResult sys_timer_settime(Caller& caller, std::uint32_t id, std::uint32_t flags, In<itimerspec> time,
                            Out<itimerspec> old) {
    const auto wanted = mm::copy_in(caller.space(), time);
    const auto alarm = caller.process.alarms.find(id);
    if (!wanted.ok() || !alarm.ok()) {
        return wanted.ok() ? alarm.error() : wanted.error();
    }
    const auto value = from_timespec(wanted->value);
    const auto interval = from_timespec(wanted->interval);
    if (!value.ok() || !interval.ok()) {
        return Error::InvalidArgument;
    }
    const Instant now = arch::now();
    const task::AlarmTime before = (*alarm)->read(now);
    const Instant due = value->is_zero() ? Instant::never()
                        : (flags & kTimerAbsolute) != 0
                            ? to_instant(*value, (*alarm)->notice.counts_from_1970)
                            : (*alarm)->clock_time(now).plus_saturating(*value);
    (*alarm)->set(due, *interval, now);
    return old.is_null() ? SysResult{std::uint64_t{0}}
                         : SysResult{mm::copy_out(caller.space(), old, to_itimerspec(before))};
}

SysResult sys_timer_gettime(Caller& caller, std::uint32_t id, Out<itimerspec> time) {
    const auto alarm = caller.process.alarms.find(id);
    return alarm.ok()
               ? SysResult{mm::copy_out(caller.space(), time, to_itimerspec((*alarm)->read(arch::now())))}
               : SysResult{alarm.error()};
}

SysResult sys_timer_getoverrun(Caller& caller, std::uint32_t id) {
    const auto alarm = caller.process.alarms.find(id);
    return alarm.ok() ? SysResult{std::uint64_t{task::overruns_of(caller.process, id)}}
                      : SysResult{alarm.error()};
}

SysResult sys_timer_delete(Caller& caller, std::uint32_t id) {
    return id < task::kMaxTimers ? SysResult{caller.process.alarms.remove(id)}
                                 : SysResult{Error::InvalidArgument};
}

SysResult sys_getitimer(Caller& caller, std::int32_t which, Out<itimerval> value) {
    const auto alarm = interval_timer(caller, which);
    return alarm.ok()
               ? SysResult{mm::copy_out(caller.space(), value, to_itimerval((*alarm)->read(arch::now())))}
               : SysResult{alarm.error()};
}

SysResult sys_setitimer(Caller& caller, std::int32_t which, In<itimerval> value, Out<itimerval> old) {
    const auto wanted = mm::copy_in(caller.space(), value);
    if (!wanted.ok()) {
        return wanted.error();
    }
    const auto first = from_timeval(wanted->value);
    const auto interval = from_timeval(wanted->interval);
    if (!first.ok() || !interval.ok()) {
        return Error::InvalidArgument;
    }
    const auto alarm = interval_timer(caller, which);
    if (!alarm.ok()) {
        return alarm.error();
    }
    const Instant now = arch::now();
    const task::AlarmTime before = (*alarm)->read(now);
    (*alarm)->set(first->is_zero() ? Instant::never() : (*alarm)->clock_time(now).plus_saturating(*first),
                  *interval, now);
    return old.is_null() ? SysResult{std::uint64_t{0}}
                         : SysResult{mm::copy_out(caller.space(), old, to_itimerval(before))};
}

}  // namespace kernel::syscall
