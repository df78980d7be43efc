// SPDX-License-Identifier: MIT
// timerfd: timers that are read (file/timer_file.hpp).
#include "arch/contract.hpp"
#include "file/timer_file.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/time.hpp"
#include "syscall/time_values.hpp"
#include "task/file_table.hpp"

namespace kernel::syscall {

namespace {

// include/uapi/linux/time.h, timerfd.h. Alarms would wake a machine that sleeps, which none does.
enum class Clock : std::int32_t {
    Realtime = 0,
    Monotonic = 1,
    BootTime = 7,
    RealtimeAlarm = 8,
    BootAlarm = 9
};
constexpr std::uint32_t kAbsolute = 1;
constexpr std::uint32_t kCancelledBySetting = 2;  // of the time of day, which nobody can set

Result<std::uint64_t> create(Caller& caller, std::int32_t clock, std::uint32_t flags) {
    const auto which = static_cast<Clock>(clock);
    const bool is_realtime = which == Clock::Realtime || which == Clock::RealtimeAlarm;
    if (!is_realtime && which != Clock::Monotonic && which != Clock::BootTime && which != Clock::BootAlarm) {
        return Error::InvalidArgument;
    }
    if ((flags & ~(task::kOpenNonBlocking | task::kOpenCloseOnExec)) != 0) {
        return Error::InvalidArgument;
    }
    auto file = TRY(file::open_timer(is_realtime, flags & task::kOpenNonBlocking));
    return std::uint64_t{TRY(caller.files().insert(std::move(file), (flags & task::kOpenCloseOnExec) != 0))};
}

Result<file::TimerFile*> timer_of(const Ref<task::OpenFile>& file) {
    file::TimerFile* const timer = file->timer();
    return timer == nullptr ? Result<file::TimerFile*>{Error::InvalidArgument} : timer;
}

itimerspec to_itimerspec(const file::TimerFile::Time& time) {
    return {.interval = to_timespec(time.interval), .value = to_timespec(time.left)};
}

Result<void> set(Caller& caller, std::int32_t fd, std::uint32_t flags, In<itimerspec> time,
                 Out<itimerspec> old) {
    const itimerspec wanted = TRY(mm::copy_in(caller.space(), time));
    if ((flags & ~(kAbsolute | kCancelledBySetting)) != 0) {
        return Error::InvalidArgument;
    }
    const Duration value = TRY(from_timespec(wanted.value));
    const Duration interval = TRY(from_timespec(wanted.interval));
    const auto file = TRY(caller.files().find(fd));
    file::TimerFile* const timer = TRY(timer_of(file));
    const Instant due = value.is_zero()            ? Instant::never()
                        : (flags & kAbsolute) != 0 ? to_instant(value, timer->counts_from_1970())
                                                   : arch::now().plus_saturating(value);
    const file::TimerFile::Time before = timer->set(due, interval);
    return old.is_null() ? Result<void>{} : mm::copy_out(caller.space(), old, to_itimerspec(before));
}

Result<void> get(Caller& caller, std::int32_t fd, Out<itimerspec> time) {
    const auto file = TRY(caller.files().find(fd));
    file::TimerFile* const timer = TRY(timer_of(file));
    return mm::copy_out(caller.space(), time, to_itimerspec(timer->time()));
}

}  // namespace

SysResult sys_timerfd_create(Caller& caller, std::int32_t clock, std::uint32_t flags) {
    return create(caller, clock, flags);
}

SysResult sys_timerfd_settime(Caller& caller, std::int32_t fd, std::uint32_t flags, In<itimerspec> time,
                              Out<itimerspec> old) {
    return set(caller, fd, flags, time, old);
}

SysResult sys_timerfd_gettime(Caller& caller, std::int32_t fd, Out<itimerspec> time) {
    return get(caller, fd, time);
}

}  // namespace kernel::syscall
