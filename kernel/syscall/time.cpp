// SPDX-License-Identifier: MIT
#include "syscall/time.hpp"

#include <atomic>

#include "arch/contract.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/target.hpp"
#include "syscall/time_values.hpp"
#include "task/dispatcher.hpp"
#include "task/wait.hpp"

namespace kernel::syscall {

namespace {

constinit std::atomic<std::int64_t> offset_ns{0};
constinit std::uint64_t ticks_per_second = 10'000'000;  // init sets the machine's

// include/uapi/linux/time.h
enum class Clock : std::int32_t {
    Realtime = 0,
    Monotonic = 1,
    ProcessCpuTime = 2,
    ThreadCpuTime = 3,
    MonotonicRaw = 4,
    RealtimeCoarse = 5,
    MonotonicCoarse = 6,
    BootTime = 7,
    Tai = 11,  // CLOCK_REALTIME + what nobody here sets
};
constexpr std::uint32_t kTimerAbsolute = 1;

// CPU clocks of others, as pthread_getcpuclockid makes them: ~id << 3 | kind, bit 2: of a thread, kind 2:
// what was run (include/linux/posix-timers_types.h).
constexpr std::int32_t kCpuClockThread = 4;
constexpr std::int32_t kCpuClockKindMask = 3;
constexpr std::int32_t kCpuClockKinds = 3;

Result<Duration> read_cpu_clock(Caller& caller, std::int32_t clock) {
    if ((clock & kCpuClockKindMask) >= kCpuClockKinds) {
        return Error::InvalidArgument;
    }
    const std::int32_t id = ~(clock >> 3);
    if ((clock & kCpuClockThread) != 0) {
        const auto target = find_target(caller, id, nexus_abi::kRightSchedInspect);
        return target.ok() ? Result<Duration>{task::task_usage(**target).runtime} : Error::InvalidArgument;
    }
    const auto target = find_target_process(caller, id, nexus_abi::kRightSchedInspect);
    return target.ok() ? Result<Duration>{task::process_usage(**target).runtime} : Error::InvalidArgument;
}

Result<Duration> read_clock(Caller& caller, std::int32_t clock) {
    const Duration since_boot = arch::now() - Instant{};
    switch (static_cast<Clock>(clock)) {
        case Clock::Realtime:
        case Clock::RealtimeCoarse:
        case Clock::Tai:
            return since_boot + realtime_offset();
        case Clock::Monotonic:
        case Clock::MonotonicRaw:
        case Clock::MonotonicCoarse:
        case Clock::BootTime:
            return since_boot;
        case Clock::ProcessCpuTime:
            return task::process_usage(caller.process).runtime;
        case Clock::ThreadCpuTime:
            return task::task_usage(caller.task).runtime;
    }
    return clock < 0 ? read_cpu_clock(caller, clock) : Result<Duration>{Error::InvalidArgument};
}

[[gnu::noinline]] SysResult tell_clock(task::Task& task, std::int32_t clock, Out<timespec> time) {
    Caller caller{task};
    const auto value = read_clock(caller, clock);
    if (!value.ok()) {
        return value.error();
    }
    return mm::copy_out(caller.space(), time, to_timespec(*value));
}

// A sleep that was interrupted tells what is left of it (nanosleep(2)), if it was given a place.
void tell_what_is_left(task::Task& task, std::uint32_t argument) {
    const std::uint64_t to = task.frame.argument(argument);
    if (to == 0) {
        return;
    }
    const Instant deadline = Instant::from_ns(static_cast<std::int64_t>(task.call_progress));
    const Duration left = deadline <= arch::now() ? Duration{} : deadline - arch::now();
    // A place that cannot be written is the program's loss.
    static_cast<void>(mm::copy_out(task.process().space(), Out<timespec>{to}, to_timespec(left)));
}
void end_nanosleep(task::Task& task) {
    tell_what_is_left(task, 1);
}
void end_clock_nanosleep(task::Task& task) {
    tell_what_is_left(task, 3);
}

SysResult sleep_until(Caller& caller, Instant deadline, void (*on_interrupted)(task::Task&) = nullptr) {
    caller.task.call_progress = 0;
    if (deadline <= arch::now()) {
        return std::uint64_t{0};
    }
    task::begin_wait(caller.task, nullptr,
                     {.on_timeout = 0,
                      .deadline = deadline,
                      .on_signal = task::OnSignal::Fails,
                      .on_interrupted = on_interrupted});
    return SysResult::blocked();
}

// Goes on until its first deadline when a signal without a handler interrupted it.
SysResult sleep_for(Caller& caller, Duration duration, void (*on_interrupted)(task::Task&)) {
    const Instant goes_on_until = deadline_kept(caller);
    return sleep_until(caller,
                       goes_on_until.is_never() ? arch::now().plus_saturating(duration) : goes_on_until,
                       on_interrupted);
}

Result<Duration> read_duration(Caller& caller, In<timespec> request) {
    return from_timespec(TRY(mm::copy_in(caller.space(), request)));
}

}  // namespace

void set_realtime_offset(Duration offset) {
    offset_ns.store(offset.ns(), std::memory_order_relaxed);
}

Duration realtime_offset() {
    return Duration::nanoseconds(offset_ns.load(std::memory_order_relaxed));
}

void set_timebase_hz(std::uint64_t hz) {
    CHECK(hz > 0);
    ticks_per_second = hz;
}

std::uint64_t timebase_hz() {
    return ticks_per_second;
}

SysResult sys_clock_gettime(Caller& caller, std::int32_t clock, Out<timespec> time) {
    // What nearly everybody asks for, without the frame that the other clocks need.
    if (static_cast<Clock>(clock) == Clock::Monotonic &&
        mm::copy_out_at_hand(caller.space(), time, to_timespec(arch::now() - Instant{}))) [[likely]] {
        return std::uint64_t{0};
    }
    return tell_clock(caller.task, clock, time);
}

SysResult sys_clock_getres(Caller& caller, std::int32_t clock, Out<timespec> resolution) {
    if (const auto exists = read_clock(caller, clock); !exists.ok()) {
        return exists.error();
    }
    if (resolution.is_null()) {
        return std::uint64_t{0};
    }
    const auto hz = static_cast<std::int64_t>(timebase_hz());
    const std::int64_t period_ns = hz >= kNsPerSecond ? 1 : (kNsPerSecond + hz - 1) / hz;
    return mm::copy_out(caller.space(), resolution, to_timespec(Duration::nanoseconds(period_ns)));
}

SysResult sys_nanosleep(Caller& caller, In<timespec> request, Out<timespec>) {
    const auto duration = read_duration(caller, request);
    return duration.ok() ? sleep_for(caller, *duration, &end_nanosleep) : SysResult{duration.error()};
}

SysResult sys_clock_nanosleep(Caller& caller, std::int32_t clock, std::uint32_t flags, In<timespec> request,
                              Out<timespec>) {
    bool counts_from_1970 = false;
    switch (static_cast<Clock>(clock)) {
        case Clock::Realtime:
        case Clock::Tai:
            counts_from_1970 = true;
            break;
        case Clock::Monotonic:
        case Clock::BootTime:
            break;
        case Clock::ProcessCpuTime:
        case Clock::MonotonicRaw:
        case Clock::RealtimeCoarse:
        case Clock::MonotonicCoarse:
            return Error::NotSupported;
        default:
            return Error::InvalidArgument;
    }
    const auto time = read_duration(caller, request);
    if (!time.ok()) {
        return time.error();
    }
    if ((flags & kTimerAbsolute) == 0) {
        return sleep_for(caller, *time, &end_clock_nanosleep);
    }
    return sleep_until(caller, to_instant(*time, counts_from_1970));
}

Instant deadline_kept(const Caller& caller) {
    const std::uint64_t kept = caller.task.call_progress;
    return kept == 0 ? Instant::never() : Instant::from_ns(static_cast<std::int64_t>(kept));
}

Instant to_instant(Duration time, bool counts_from_1970) {
    // Both are non-negative, so the difference cannot overflow.
    const Duration since_boot = counts_from_1970 ? time - realtime_offset() : time;
    return Instant::from_ns(since_boot.ns());
}

// Real time is the boot's: nothing sets it, so there is nothing to be permitted.
SysResult sys_clock_settime(Caller& caller, std::int32_t clock, In<timespec> time) {
    if (static_cast<Clock>(clock) != Clock::Realtime) {
        return Error::InvalidArgument;
    }
    const auto wanted = mm::copy_in(caller.space(), time);
    if (!wanted.ok()) {
        return wanted.error();
    }
    return from_timespec(*wanted).ok() ? Error::NotPermitted : Error::InvalidArgument;
}

SysResult sys_settimeofday(Caller& caller, In<timeval> time, std::uint64_t) {
    if (time.is_null()) {
        return Error::NotPermitted;
    }
    const auto wanted = mm::copy_in(caller.space(), time);
    if (!wanted.ok()) {
        return wanted.error();
    }
    const bool is_time =
        wanted->seconds >= 0 && wanted->microseconds >= 0 && wanted->microseconds < 1'000'000;
    return is_time ? Error::NotPermitted : Error::InvalidArgument;
}

SysResult sys_adjtimex(Caller& caller, InOut<timex_t> time) {
    // include/uapi/linux/timex.h; the figures of a Linux that was never adjusted.
    constexpr std::uint64_t kTimeError = 5;
    constexpr std::int32_t kUnsynchronised = 0x40;
    constexpr std::int64_t kUnknownErrorUs = 16'000'000;
    const auto asked = mm::copy_in(caller.space(), time);
    if (!asked.ok()) {
        return asked.error();
    }
    if (asked->modes != 0) {
        return Error::NotPermitted;
    }
    const timex_t told{.modes = 0,
                       .padding = 0,
                       .offset = 0,
                       .frequency = 0,
                       .maximum_error = kUnknownErrorUs,
                       .estimated_error = kUnknownErrorUs,
                       .status = kUnsynchronised,
                       .padding2 = 0,
                       .constant = 2,
                       .precision = 1,
                       .tolerance = 500 << 16,  // parts per million with 16 bits behind the point
                       .time = to_timeval(arch::now() - Instant{} + realtime_offset()),
                       .tick = 10'000,
                       .pulse_frequency = 0,
                       .pulse = {},
                       .tai = 0,
                       .unused = {}};
    const auto copied = mm::copy_out(caller.space(), time, told);
    return copied.ok() ? SysResult{kTimeError} : SysResult{copied.error()};
}

SysResult sys_clock_adjtime(Caller& caller, std::int32_t clock, InOut<timex_t> time) {
    if (static_cast<Clock>(clock) != Clock::Realtime) {
        return read_clock(caller, clock).ok() ? Error::NotSupported : Error::InvalidArgument;
    }
    return sys_adjtimex(caller, time);
}

SysResult sys_gettimeofday(Caller& caller, Out<timeval> time, std::uint64_t) {
    if (time.is_null()) {
        return std::uint64_t{0};
    }
    const Duration since_1970 = arch::now() - Instant{} + realtime_offset();
    return mm::copy_out(caller.space(), time, to_timeval(since_1970));
}

}  // namespace kernel::syscall
