// SPDX-License-Identifier: MIT
#include "task/alarm.hpp"

#include <utility>

#include "mm/slab.hpp"
#include "task/dispatcher.hpp"
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

Instant Alarm::clock_time(Instant now) const {
    switch (notice.clock) {
        case AlarmClock::Boot:
            return now;
        case AlarmClock::ProcessCpu:
            return Instant{} + process_usage(*process_).runtime;
        case AlarmClock::ThreadCpu:
            break;
    }
    const Ref<Task> task = find_task(notice.measured);
    return task && &task->process() == process_.get() ? Instant{} + task_usage(*task).runtime : Instant{};
}

void Alarm::arm(Instant now, Instant shown) {
    if (notice.clock == AlarmClock::Boot) {
        arm_alarm(timer, due_);
        return;
    }
    const Duration left = due_ <= shown ? Duration{} : due_ - shown;
    // A process uses CPU time on as many harts as there are.
    const std::int64_t cpus = notice.clock == AlarmClock::ProcessCpu ? online_cpus().count() : 1;
    const Duration soonest = Duration::nanoseconds(left.ns() / cpus);
    arm_alarm(timer, now.plus_saturating(soonest < kCpuTimeStep ? kCpuTimeStep : soonest));
}

void Alarm::set(Instant due, Duration interval, Instant now) {
    const LockGuard guard{lock_};
    cancel_timer(timer);
    due_ = due;
    interval_ = interval;
    if (!due.is_never()) {
        arm(now, clock_time(now));
    }
}

AlarmTime Alarm::read(Instant now) const {
    const LockGuard guard{lock_};
    if (due_.is_never()) {
        return {.left = {}, .interval = interval_};
    }
    // One that is due and has not gone off yet is still set.
    const Instant shown = clock_time(now);
    return {.left = due_ <= shown ? Duration::nanoseconds(1) : due_ - shown, .interval = interval_};
}

void Alarm::go_off(Instant now) {
    std::uint32_t overruns = 0;
    {
        const LockGuard guard{lock_};
        const Instant shown = clock_time(now);
        if (due_ > shown) {
            // It was set anew meanwhile, or counts CPU time that was not used yet.
            if (notice.clock != AlarmClock::Boot && !due_.is_never()) {
                cancel_timer(timer);
                arm(now, shown);
            }
            return;
        }
        if (interval_.is_zero()) {
            due_ = Instant::never();
        } else {
            const std::int64_t missed = (shown - due_).ns() / interval_.ns();
            constexpr std::int64_t kMost = 0x7fff'ffff;
            overruns = static_cast<std::uint32_t>(missed < kMost ? missed : kMost);
            due_ = due_.plus_saturating(Duration::nanoseconds((missed + 1) * interval_.ns()));
            cancel_timer(timer);
            if (notice.clock == AlarmClock::Boot) {
                const Instant soonest = now + kShortestPeriod;
                arm_alarm(timer, due_ < soonest ? soonest : due_);
            } else {
                arm(now, shown);
            }
        }
    }
    if (notice.signal == 0) {
        return;
    }
    const SignalInfo info = id >= kIntervalTimer
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
            ++count_;
            return id;
        }
    }
    return Error::TryAgain;
}

Result<Ref<Alarm>> AlarmTable::interval_timer(Process& process, std::uint32_t which,
                                              const AlarmNotice& notice) {
    const LockGuard guard{lock_};
    const std::uint32_t id = kIntervalTimer + which;
    if (!alarms_[id]) {
        alarms_[id] = TRY(Alarm::create(process, id, notice));
        ++count_;
    }
    return alarms_[id].clone();
}

Result<Ref<Alarm>> AlarmTable::find(std::uint32_t id) const {
    const LockGuard guard{lock_};
    if (id >= kMaxTimers || !alarms_[id]) {
        return Error::InvalidArgument;
    }
    return alarms_[id].clone();
}

Result<void> AlarmTable::remove(std::uint32_t id) {
    if (id >= kAllTimers) {
        return Error::InvalidArgument;
    }
    Ref<Alarm> removed;
    {
        const LockGuard guard{lock_};
        removed = std::move(alarms_[id]);
        count_ -= removed ? 1 : 0;
    }
    if (!removed) {
        return Error::InvalidArgument;
    }
    removed->set(Instant::never(), {}, {});
    return {};
}

void AlarmTable::remove_all(bool with_interval_timers) {
    {
        const LockGuard guard{lock_};
        if (count_ == 0) {
            return;
        }
    }
    for (std::uint32_t id = 0; id < (with_interval_timers ? kAllTimers : kMaxTimers); ++id) {
        static_cast<void>(remove(id));
    }
}

}  // namespace kernel::task
