// SPDX-License-Identifier: MIT
// Changing and reading the scheduling state of a task that may be anywhere: running here or elsewhere,
// waiting, asleep, on its way. The lock of its home hart makes every state stable.
#include <algorithm>

#include "arch/contract.hpp"
#include "sched/donation.hpp"
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

// Runs change(Hart&, now) on the target, which changes its attributes, with the lock of its home held.
template <class Change>
Applied apply_at_home(Task& target, Change&& change) {
    return with_home(target, [&](Hart& hart, CpuId cpu) NO_THREAD_SAFETY_ANALYSIS {
        const Instant now = arch::now();
        Applied applied{.cpu = cpu};
        change(hart, now);
        const bool is_here =
            target.entity.is_on_queue() || target.entity.state() == sched::TaskState::Throttled;
        if (is_here && !hart.queue.allows(target.entity)) {
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

// What follows a change that nobody waits for.
void settle(Task& target, const Applied& applied) {
    if (applied.displaced == Displaced::Waiting) {
        place(target, sched::EnqueueReason::Migrate);
        return;
    }
    if (applied.needs_kick) {
        kick(applied.cpu);
    }
    call_for_help(applied.cpu);
}

SysResult apply(Task& caller, Task& target, const sched::Attributes& attributes, const sched::Limits* limits,
                std::uint64_t result) {
    if (attributes.budget.is_capped() && !attributes.budget_shared) {
        if (const auto provided = provide_budget(target); !provided.ok()) {
            return provided.error();
        }
    }
    // Held until the caller is on the list: the target's hart takes it after the eviction, so it cannot miss
    // the caller.
    const LockGuard guard{target.evicted.lock()};
    const Applied applied = apply_at_home(target, [&](Hart& home, Instant now) NO_THREAD_SAFETY_ANALYSIS {
        const sched::BudgetParams budget = target.entity.attributes.budget;
        const bool was_shared = target.entity.attributes.budget_shared;
        if (limits != nullptr) {
            target.entity.limits = *limits;
        }
        set_fitted(home, target, attributes, now);
        if (budget != attributes.budget || was_shared != attributes.budget_shared) {
            follow_budget(home, target, now);
        }
    });
    if (applied.displaced == Displaced::Running && applied.cpu != arch::current_cpu()) {
        begin_wait(caller, &target.evicted, {.key = result});
        kick(applied.cpu);
        return SysResult::blocked();
    }
    settle(target, applied);
    return result;
}

}  // namespace

SysResult apply_attributes(Task& caller, Task& target, const sched::Attributes& attributes,
                           std::uint64_t result) {
    return apply(caller, target, attributes, nullptr, result);
}

SysResult apply_limits(Task& caller, Task& target, const sched::Limited& limited) {
    return apply(caller, target, limited.attributes, &limited.limits, 0);
}

void fit_anywhere(Task& task) {
    settle(task, apply_at_home(task, [&](Hart& home, Instant now)
                                         NO_THREAD_SAFETY_ANALYSIS { fit_mask(home, task, now); }));
}

void lift_budget(Task& task) {
    // Under the lock: who gives it one later finds that it ends.
    if (!with_home(task, [&](Hart&, CpuId) { return has_budget(task); })) {
        return;
    }
    settle(task, apply_at_home(task, [&](Hart& home, Instant now)
                                         NO_THREAD_SAFETY_ANALYSIS { follow_budget(home, task, now); }));
}

void apply_donation(Task& task, const sched::Donation& donation) {
    settle(task, apply_at_home(task, [&](Hart& home, Instant now) NO_THREAD_SAFETY_ANALYSIS {
               home.queue.set_donation(task.entity, donation, now);
           }));
}

void end_donation(Task& task) {
    settle(task, apply_at_home(task, [&](Hart& home, Instant now) NO_THREAD_SAFETY_ANALYSIS {
               home.queue.end_donation(task.entity, now);
           }));
}

sched::Donation read_donation(Task& task) {
    return with_home(task, [&](Hart&, CpuId) {
        const sched::Entity& entity = task.entity;
        return sched::Donation{
            .qos_class = entity.effective(), .latency = entity.latency(), .budget = entity.budget()};
    });
}

sched::Attributes read_attributes(Task& task) {
    return with_home(task, [&](Hart&, CpuId) {
        return needs_fitting(task) ? fitted(task).attributes : task.entity.attributes;
    });
}

sched::Limits read_limits(Task& task) {
    return with_home(task, [&](Hart&, CpuId) { return task.entity.limits; });
}

sched::Standing read_standing(Task& task) {
    return with_home(task, [&](Hart&, CpuId) { return task.entity.standing(); });
}

void fill_task_stat(Task& task, nexus_abi::sched_stat& stat) {
    with_home(task, [&](Hart& hart, CpuId) NO_THREAD_SAFETY_ANALYSIS {
        const Instant now = arch::now();
        hart.queue.charge_current(now);
        task.entity.fill_stat(now, stat);
        stat.lag_ns = hart.queue.lag(task.entity).ns();
        const sched::Refit mask = fitted(task);
        stat.mask_effective = mask.attributes.affinity_effective.bits();
        stat.flags |= mask.broken ? nexus_abi::kStatAffinityBroken : 0;
        return 0;
    });
}

namespace {

// What the hart did for the process it serves and has not put on its account. Pre: there is one.
Usage unsettled(const Hart& hart, Instant now) REQUIRES(hart.lock) {
    const sched::RunQueue::Use use = hart.queue.use(now);
    return {.runtime = use.runtime - hart.served_from.runtime,
            .voluntary_switches = use.voluntary - hart.served_from.voluntary,
            .involuntary_switches = use.involuntary - hart.served_from.involuntary};
}

}  // namespace

void serve(Hart& hart, Process* process, Instant now) {
    if (hart.served != nullptr) {
        hart.served->used.add(unsettled(hart, now));
    }
    hart.served = process;
    hart.served_from = hart.queue.use(now);
}

void settle_usage(Task& running) {
    Hart& hart = this_hart();
    const LockGuard guard{hart.lock};
    serve(hart, &running.process(), arch::now());
}

Usage task_usage(Task& task) {
    return with_home(task, [&](Hart&, CpuId) {
        const sched::Statistics& statistics = task.entity.statistics();
        return Usage{.runtime = task.entity.runtime(arch::now()),
                     .voluntary_switches = statistics.switches_voluntary,
                     .involuntary_switches = statistics.switches_involuntary};
    });
}

Usage process_usage(Process& process) {
    // The settled part first: what is settled meanwhile is missed this time, and never counted twice.
    Usage usage = process.used.load();
    online_cpus().for_each([&](CpuId cpu) {
        Hart& hart = hart_of(cpu);
        const LockGuard guard{hart.lock};
        if (hart.served == &process) {
            usage += unsettled(hart, arch::now());
        }
    });
    std::int64_t shown = process.used.shown_ns.load(std::memory_order_relaxed);
    while (shown < usage.runtime.ns() && !process.used.shown_ns.compare_exchange_weak(
                                             shown, usage.runtime.ns(), std::memory_order_relaxed)) {
    }
    usage.runtime = Duration::nanoseconds(std::max(usage.runtime.ns(), shown));
    return usage;
}

}  // namespace kernel::task
