// SPDX-License-Identifier: MIT
// Changing and reading the scheduling state of a task that may be anywhere: running here or elsewhere,
// waiting, asleep, on its way. The lock of its home hart makes every state stable.
#include "arch/contract.hpp"
#include "task/dispatcher.hpp"
#include "task/hart.hpp"
#include "task/process.hpp"

namespace kernel::task {

namespace {

enum class Displaced : std::uint8_t { No, Waiting, Running };

struct Applied {
    CpuId cpu;
    Displaced displaced{Displaced::No};
    bool needs_kick{false};
};

Applied apply_at_home(Task& target, const sched::Attributes& attributes) {
    return with_home(target, [&](Hart& hart, CpuId cpu) NO_THREAD_SAFETY_ANALYSIS {
        const Instant now = arch::now();
        Applied applied{.cpu = cpu};
        const bool must_leave = hart.queue.set_attributes(target.entity, attributes, now);
        if (must_leave) {
            if (hart.queue.current() == &target.entity) {
                applied.displaced = Displaced::Running;
                // Never cleared here: another setter may be waiting already.
                if (cpu != arch::current_cpu()) {
                    target.has_evictors = true;
                }
            } else {
                hart.queue.remove(target.entity, now);
                applied.displaced = Displaced::Waiting;
            }
        }
        publish_load(hart);
        if (cpu == arch::current_cpu()) {
            hart.recheck = true;
        } else {
            applied.needs_kick =
                applied.displaced == Displaced::Running || hart.queue.next_event(now) < hart.programmed;
        }
        return applied;
    });
}

}  // namespace

SysResult apply_attributes(Task& caller, Task& target, const sched::Attributes& attributes,
                           std::uint64_t result) {
    // Held until the caller is on the list: the target's hart takes it after the eviction, so it cannot miss
    // the caller.
    const LockGuard guard{target.evicted.lock()};
    const Applied applied = apply_at_home(target, attributes);
    if (applied.displaced == Displaced::Waiting) {
        place(target, sched::EnqueueReason::Migrate);
        return result;
    }
    const bool is_elsewhere = applied.cpu != arch::current_cpu();
    if (applied.displaced == Displaced::Running && is_elsewhere) {
        begin_wait(caller, &target.evicted, {.key = result});
        kick(applied.cpu);
        return SysResult::blocked();
    }
    if (applied.needs_kick) {
        kick(applied.cpu);
    }
    nudge_idle_hart(hart_of(applied.cpu));
    return result;
}

sched::Attributes read_attributes(Task& task) {
    return with_home(task, [&](Hart&, CpuId) { return task.entity.attributes; });
}

sched::Limits read_limits(Task& task) {
    return with_home(task, [&](Hart&, CpuId) { return task.entity.limits; });
}

void fill_task_stat(Task& task, nexus_abi::sched_stat& stat) {
    with_home(task, [&](Hart& hart, CpuId) NO_THREAD_SAFETY_ANALYSIS {
        const Instant now = arch::now();
        hart.queue.charge_current(now);
        task.entity.fill_stat(now, stat);
        stat.lag_ns = hart.queue.lag(task.entity).ns();
        return 0;
    });
}

Usage task_usage(Task& task) {
    return with_home(task, [&](Hart&, CpuId) {
        const sched::Statistics& statistics = task.entity.statistics();
        return Usage{.runtime = task.entity.runtime(arch::now()),
                     .voluntary_switches = statistics.switches_voluntary,
                     .involuntary_switches = statistics.switches_involuntary};
    });
}

}  // namespace kernel::task
