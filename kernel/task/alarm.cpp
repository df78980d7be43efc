// SPDX-License-Identifier: MIT
#include "task/alarm.hpp"

#include <utility>

#include "mm/slab.hpp"
#include "task/lifecycle.hpp"
#include "task/process.hpp"
#include "task/signal.hpp"

namespace kernel::task {

namespace {

constinit mm::ObjectPool<Alarm> pool;

}  // namespace

Alarm::Alarm(Process& process, std::uint32_t alarm_id, const AlarmNotice& alarm_notice)
    : id{alarm_id}, notice{alarm_notice}, process_{Ref<Process>::share(process)} {
    timer.alarm = this;
}

Alarm::~Alarm() = default;

Result<Ref<Alarm>> Alarm::create(Process& process, std::uint32_t id, const AlarmNotice& notice) {
    return Ref<Alarm>::adopt(*TRY(pool.create(process, id, notice)));
}

void Alarm::last_reference_gone(Alarm& alarm) {
    pool.destroy(&alarm);
}

void Alarm::set(Instant due, Duration interval, Instant now) {
    const LockGuard guard{lock_};
    cancel_timer(timer);
    due_ = due;
    interval_ = interval;
    if (!due.is_never()) {
        arm_alarm(timer, due <= now ? now : due);
    }
}

AlarmTime Alarm::read(Instant now) const {
    const LockGuard guard{lock_};
    if (due_.is_never()) {
        return {.left = {}, .interval = interval_};
    }
    // One that is due and has not gone off yet is still set.
    return {.left = due_ <= now ? Duration::nanoseconds(1) : due_ - now, .interval = interval_};
}

void Alarm::go_off(Instant now) {
    std::uint32_t overruns = 0;
    {
        const LockGuard guard{lock_};
        if (due_ > now) {
            return;  // it was set anew meanwhile
        }
        if (interval_.is_zero()) {
            due_ = Instant::never();
        } else {
            const std::int64_t missed = (now - due_).ns() / interval_.ns();
            constexpr std::int64_t kMost = 0x7fff'ffff;
            overruns = static_cast<std::uint32_t>(missed < kMost ? missed : kMost);
            due_ = due_.plus_saturating(Duration::nanoseconds((missed + 1) * interval_.ns()));
            const Instant soonest = now + kShortestPeriod;
            cancel_timer(timer);
            arm_alarm(timer, due_ < soonest ? soonest : due_);
        }
    }
    if (notice.signal == 0) {
        return;
    }
    const SignalInfo info = id == kIntervalTimer
                                ? SignalInfo{.code = signal::kFromKernel}
                                : SignalInfo::of_timer(id, overruns, notice.has_value ? notice.value : id);
    if (notice.thread == TaskId{}) {
        static_cast<void>(signal_process(*process_, notice.signal, info));
    } else if (const Ref<Task> task = find_task(notice.thread); task && &task->process() == process_.get()) {
        static_cast<void>(signal_task(*task, notice.signal, info));
    }
}

std::uint32_t overruns_of(Process& process, std::uint32_t id) {
    const LockGuard guard{process.signals.waiters.lock()};
    return process.signals.overruns[id % kMaxTimers];
}

Result<std::uint32_t> AlarmTable::create(Process& process, const AlarmNotice& notice) {
    const LockGuard guard{lock_};
    for (std::uint32_t id = 0; id < kMaxTimers; ++id) {
        if (!alarms_[id]) {
            alarms_[id] = TRY(Alarm::create(process, id, notice));
            return id;
        }
    }
    return Error::TryAgain;
}

Result<Ref<Alarm>> AlarmTable::interval_timer(Process& process, const AlarmNotice& notice) {
    const LockGuard guard{lock_};
    if (!alarms_[kIntervalTimer]) {
        alarms_[kIntervalTimer] = TRY(Alarm::create(process, kIntervalTimer, notice));
    }
    return alarms_[kIntervalTimer].clone();
}

Result<Ref<Alarm>> AlarmTable::find(std::uint32_t id) const {
    const LockGuard guard{lock_};
    if (id >= kMaxTimers || !alarms_[id]) {
        return Error::InvalidArgument;
    }
    return alarms_[id].clone();
}

Result<void> AlarmTable::remove(std::uint32_t id) {
    if (id > kIntervalTimer) {
        return Error::InvalidArgument;
    }
    Ref<Alarm> removed;
    {
        const LockGuard guard{lock_};
        removed = std::move(alarms_[id]);
    }
    if (!removed) {
        return Error::InvalidArgument;
    }
    removed->set(Instant::never(), {}, {});
    return {};
}

void AlarmTable::remove_all(bool with_interval_timer) {
    for (std::uint32_t id = 0; id < kMaxTimers + (with_interval_timer ? 1U : 0U); ++id) {
        static_cast<void>(remove(id));
    }
}

}  // namespace kernel::task
