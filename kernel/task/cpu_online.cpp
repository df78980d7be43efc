// SPDX-License-Identifier: MIT
// CPUs that go offline and come back.
//
// Off: the caller takes the CPU out of the online mask and interrupts it; from then on nothing is placed
// there. That hart puts its own tasks aside, a bounded number per round, gives its interrupts away, says that
// it is gone and sleeps. What was sent to it meanwhile, or sleeps there and wakes, it sends on: its queue,
// its lock and its timers work as before, only nothing runs. On: the mask has the CPU again and the hart goes
// back to the exit path; the caller looks at every task, some at a time.
//
// A task's effective mask is what it asked for, within its limit and the online CPUs. It is fitted to the
// online CPUs whenever the task is placed or chosen and a CPU came or went since (Task::cpu_change), so
// nothing has to walk all tasks before a change is in force.
#include <bit>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "sched/params.hpp"
#include "task/dispatcher.hpp"
#include "task/hart.hpp"
#include "task/lifecycle.hpp"
#include "task/task_table.hpp"
#include "task/watchdog.hpp"
#include "trace/trace.hpp"

namespace kernel::task {

namespace {

constinit AtomicCpuMask online_mask;
constinit AtomicCpuMask started_mask;
// Immutable after boot.
constinit CpuMask possible_mask;
// Guards the decision to change: the last CPU stays.
constinit SpinLock change_lock{LockRank::CpuChange};

using Hook = void (*)(CpuId);
constinit Hook cpu_leaves = nullptr;

// Tasks sent away, or looked at, in one kernel section.
constexpr std::uint32_t kTasksPerRound = 16;

SysResult take_offline(Task& caller, CpuId cpu) {
    Hart& hart = hart_of(cpu);
    const LockGuard change{change_lock};
    if (hart.presence.load(std::memory_order_acquire) == Presence::Offline) {
        return std::uint64_t{0};
    }
    if (hart.presence.load(std::memory_order_relaxed) == Presence::Leaving ||
        online_cpus() == CpuMask::of(cpu)) {
        return Error::Busy;
    }
    // Held until the caller is on the list: the hart takes it before it says that it is gone.
    const LockGuard guard{hart.gone.lock()};
    begin_wait(caller, &hart.gone, {});
    hart.presence.store(Presence::Leaving, std::memory_order_release);
    online_mask.remove(cpu);
    cpu_changes.fetch_add(1);
    if (cpu != arch::current_cpu()) {
        kick(cpu);
    }
    return SysResult::blocked();
}

// A CPU came: whoever now has it as a neighbour looks at it again.
void start_watching(CpuId cpu) {
    CpuMask others = online_cpus();
    others.remove(cpu);
    others.for_each([](CpuId other) { kick(other); });
}

// The first piece of going online; the error or value with which that is all, or none.
SysResult put_online(CpuId cpu) {
    Hart& hart = hart_of(cpu);
    const LockGuard change{change_lock};
    switch (hart.presence.load(std::memory_order_acquire)) {
        case Presence::Leaving:
            return Error::Busy;
        case Presence::Online:
            return std::uint64_t{0};
        case Presence::Absent:
        case Presence::Offline:
            break;
    }
    hart.presence.store(Presence::Online, std::memory_order_release);
    online_mask.add(cpu);
    cpu_changes.fetch_add(1);
    kick(cpu);
    if (is_watching) {
        start_watching(cpu);
    }
    return SysResult::again();
}

// Takes one task that waits or is throttled off the queue of this hart, if there is one.
Task* take_waiting(Hart& hart) {
    const LockGuard guard{hart.lock};
    sched::Entity* entity = hart.queue.first_throttled();
    for (std::size_t i = 0; i < sched::kClasses && entity == nullptr; ++i) {
        entity = hart.queue.queue(sched::class_at(i)).waiting().first();
    }
    if (entity == nullptr) {
        return nullptr;
    }
    hart.queue.remove(*entity, arch::now());
    publish_load(hart);
    return &task_of(*entity);
}

// True when there may be more.
bool send_tasks_away(Hart& hart) {
    for (std::uint32_t i = 0; i < kTasksPerRound; ++i) {
        Task* const task = take_waiting(hart);
        if (task == nullptr) {
            return false;
        }
        place(*task, sched::EnqueueReason::Migrate);
    }
    return true;
}

}  // namespace

constinit std::atomic<std::uint32_t> cpu_changes{1};

void set_possible_cpus(CpuMask cpus, bool general_only) {
    possible_mask = cpus;
    Task::set_cpu_count(static_cast<std::uint32_t>(std::bit_width(cpus.bits())));
    cpus.for_each([](CpuId cpu) { arch::cpu_locals[cpu.value()].scheduling = &hart_of(cpu); });
    has_one_hart = cpus.count_is_one() && !general_only;
    cpus.for_each([](CpuId cpu) {
        hart_of(cpu).has_others = !has_one_hart;
        arch::cpu_locals[cpu.value()].is_only = has_one_hart;
    });
}
CpuMask possible_cpus() {
    return possible_mask;
}
CpuMask online_cpus() {
    return online_mask.load();
}
CpuMask started_cpus() {
    return started_mask.load();
}

void set_cpu_leaves_hook(void (*hook)(CpuId cpu)) {
    cpu_leaves = hook;
}

void hart_online() {
    // FP epochs of different harts must never be equal: the hart's number is in the low bits of a wide
    // counter.
    Hart& hart = this_hart();
    const auto cpu = arch::current_cpu();
    hart.next_fp_epoch = std::uint64_t{cpu.value()} << 56;
    hart.recheck = true;
    hart.presence.store(Presence::Online, std::memory_order_release);
    started_mask.add(cpu);
    online_mask.add(cpu);
    cpu_changes.fetch_add(1);
    if (is_watching) {
        start_watching(cpu);
        resume_watching();
    }
}

SysResult set_cpu_online(Task& caller, CpuId cpu, bool online) {
    if (cpu.value() >= kMaxCpus || !started_cpus().contains(cpu)) {
        return Error::InvalidArgument;
    }
    if (!online) {
        return take_offline(caller, cpu);
    }
    if (caller.call_progress == 0) {
        const SysResult first = put_online(cpu);
        if (first.has_value()) {
            return first;
        }
    }
    // Everybody's next placement would do; but who never sleeps would wait for that, on another hart.
    for (std::uint32_t i = 0; i < kTasksPerRound; ++i) {
        const Ref<Task> task = lookup_next_task(TaskId{static_cast<std::uint32_t>(caller.call_progress)});
        if (!task) {
            return std::uint64_t{0};
        }
        caller.call_progress = task->tid().value();
        if (task->run_state.load(std::memory_order_acquire) != RunState::Dead) {
            fit_anywhere(*task);
        }
    }
    return SysResult::again();
}

CpuMask set_fitted(Hart& home, Task& task, const sched::Attributes& attributes, Instant now) {
    const std::uint32_t change = cpu_changes.load();
    const CpuMask online = online_cpus();
    const sched::Refit refit = sched::refit_affinity(attributes, task.entity.limits.affinity_limit, online);
    // Whether it must leave, the caller asks RunQueue::allows() once it is through.
    static_cast<void>(home.queue.set_attributes(task.entity, refit.attributes, now));
    task.cpu_change = change;
    if (trace::is_on(nexus_abi::kTraceAttr)) [[unlikely]] {
        const std::uint32_t tid = task.tid().value();
        trace::write(trace::Kind::SetClass, tid, static_cast<std::uint32_t>(refit.attributes.qos_class));
        trace::write(trace::Kind::SetShares, tid, refit.attributes.shares);
        trace::write(trace::Kind::SetMask, tid,
                     static_cast<std::uint32_t>(refit.attributes.affinity_effective.bits()));
    }
    return online;
}

CpuMask fit_mask(Hart& home, Task& task, Instant now) {
    const bool is_fitted = !needs_fitting(task);
    const CpuMask online = online_cpus();
    if (is_fitted && task.entity.attributes.affinity_effective.intersects(online)) [[likely]] {
        return online;
    }
    return set_fitted(home, task, task.entity.attributes, now);
}

sched::Refit fitted(const Task& task) {
    return sched::refit_affinity(task.entity.attributes, task.entity.limits.affinity_limit, online_cpus());
}

bool leave(Hart& hart) {
    if (send_tasks_away(hart)) {
        return false;
    }
    if (hart.presence.load(std::memory_order_relaxed) == Presence::Leaving && !has_arrivals(hart)) {
        if (cpu_leaves != nullptr) {
            cpu_leaves(arch::current_cpu());
        }
        hart.presence.store(Presence::Offline, std::memory_order_release);
        machine_balance.forget(arch::current_cpu());
        static_cast<void>(hart.gone.wake(~0U, 0));
    }
    return true;
}

}  // namespace kernel::task
