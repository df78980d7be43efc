// SPDX-License-Identifier: MIT
// The scheduler's calls of the NEURON block. Each goes through the same five steps in the same order, so that
// errors are deterministic: form of the arguments, right to the target, existence of the target, the target's
// limits, apply.
#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "mm/user_memory.hpp"
#include "sched/params.hpp"
#include "syscall/audit.hpp"
#include "syscall/change_attributes.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/target.hpp"
#include "syscall/time.hpp"
#include "syscall/versioned.hpp"
#include "task/dispatcher.hpp"
#include "task/futex_pi.hpp"
#include "task/lifecycle.hpp"
#include "task/task_table.hpp"

namespace kernel::syscall {

namespace {

using nexus_abi::AuditWhat;
using nexus_abi::kRightSchedInspect;

// Two setters of one task do not overwrite each other's fields.
constinit SpinLock attribute_lock{LockRank::TaskAttr};

constexpr std::uint64_t kMaskSizeMax = 1024;  // bytes of a CPU mask in sched_set_affinity_policy
constexpr std::uint64_t kSnapshotPerCall =
    16;                                      // entries of one sched_snapshot: what one kernel section allows
constexpr std::uint64_t kTasksPerStep = 64;  // looked at, ended ones included
constexpr std::int64_t kNsPerMs = 1'000'000;

// The first of `fields`, as it was and as it is or was asked to be.
AuditedField field_of(std::uint64_t fields, const sched::Attributes& before, const sched::Attributes& after) {
    const auto value = [fields](const sched::Attributes& of) -> std::uint64_t {
        switch (std::uint64_t{1} << std::countr_zero(fields)) {
            case nexus_abi::kFieldClass:
                return static_cast<std::uint64_t>(of.qos_class);
            case nexus_abi::kFieldShares:
                return of.shares;
            case nexus_abi::kFieldLatency:
                return static_cast<std::uint64_t>(of.latency.ns());
            case nexus_abi::kFieldBurst:
                return static_cast<std::uint64_t>(of.burst.ns());
            case nexus_abi::kFieldBudget:
                return static_cast<std::uint64_t>(of.budget.runtime.ns());
            case nexus_abi::kFieldAffinity:
                return of.affinity.bits();
            case nexus_abi::kFieldPrefer:
                return of.affinity_prefer.bits();
            case nexus_abi::kFieldPolicy:
                return static_cast<std::uint64_t>(of.policy);
            case nexus_abi::kFieldFlags:
                return of.flags;
            default:
                return 0;
        }
    };
    if (fields == 0) {
        return {};
    }
    return {.number = static_cast<std::uint16_t>(std::countr_zero(fields)),
            .old_value = value(before),
            .new_value = value(after)};
}

AuditedField named(std::uint64_t fields) {
    return {.number = static_cast<std::uint16_t>(std::countr_zero(fields))};
}

// What was asked for, whether or not it may be.
sched::Attributes attributes_asked(sched::Attributes attributes, const sched::Change& change) {
    const auto names = [&change](std::uint64_t field) { return (change.fields & field) != 0; };
    attributes.qos_class = names(nexus_abi::kFieldClass) ? change.qos_class : attributes.qos_class;
    attributes.shares = names(nexus_abi::kFieldShares) ? change.shares : attributes.shares;
    attributes.budget = names(nexus_abi::kFieldBudget) ? change.budget : attributes.budget;
    attributes.flags = names(nexus_abi::kFieldFlags) ? change.flags : attributes.flags;
    return attributes;
}

// A scalar that was cut to fit, and taken.
SysResult note_clamp(Caller& caller, std::int32_t pid, const SysResult& outcome, const AuditedField& field) {
    const bool is_done = !outcome.has_value() || outcome.value() >= 0;
    if (is_done && field.old_value != field.new_value) {
        const TaskId id = pid == 0 ? caller.task.tid() : TaskId{static_cast<std::uint32_t>(pid)};
        const Ref<task::Task> target = task::lookup_task(id);
        audit(caller, AuditWhat::Clamped, target.get(), id, static_cast<std::int64_t>(field.new_value),
              field);
    }
    return outcome;
}

// The first value that kAttrClamp made fit.
AuditedField clamped_field(const sched_attr& asked, const sched::Change& change) {
    struct Clampable {
        std::uint64_t field;
        std::uint64_t asked;
        std::uint64_t applied;
    };
    for (const Clampable& one :
         {Clampable{nexus_abi::kFieldShares, asked.shares, change.shares},
          Clampable{nexus_abi::kFieldLatency, asked.latency_ns,
                    static_cast<std::uint64_t>(change.latency.ns())},
          Clampable{nexus_abi::kFieldBurst, asked.burst_ns, static_cast<std::uint64_t>(change.burst.ns())}}) {
        if ((change.fields & one.field) != 0 && one.asked != one.applied) {
            return {.number = static_cast<std::uint16_t>(std::countr_zero(one.field)),
                    .old_value = one.asked,
                    .new_value = one.applied};
        }
    }
    return {};
}

SysResult change_scalar(Caller& caller, std::int32_t pid, const Result<sched::Change>& change,
                        std::int64_t asked, std::uint64_t applied) {
    return change.ok() ? note_clamp(caller, pid, change_attributes(caller, pid, *change, applied),
                                    {.number = static_cast<std::uint16_t>(std::countr_zero(change->fields)),
                                     .old_value = static_cast<std::uint64_t>(asked),
                                     .new_value = applied})
                       : SysResult{change.error()};
}

SysResult change_to(Caller& caller, std::int32_t pid, const Result<sched::Change>& change,
                    std::uint64_t result) {
    return change.ok() ? change_attributes(caller, pid, *change, result) : SysResult{change.error()};
}

}  // namespace

SysResult change_attributes(Caller& caller, std::int32_t pid, const sched::Change& change,
                            std::uint64_t result, Booking* booking) {
    const auto target = find_target(caller, pid, nexus_abi::kRightSchedAdmin);
    if (!target.ok()) {
        return target.error();
    }
    task::Task& task = **target;
    const LockGuard guard{attribute_lock};
    const sched::Attributes before = task::read_attributes(task);
    const auto next = sched::apply(before, change, authority_over(caller, task));
    if (!next.ok()) {
        if (faults().accept_any_mask && next.error() == Error::InvalidArgument) {
            return result;
        }
        if (next.error() == Error::NotPermitted) {
            audit(caller, AuditWhat::Denied, &task, task.tid(),
                  -static_cast<std::int64_t>(Error::NotPermitted),
                  field_of(change.fields, before, attributes_asked(before, change)));
        }
        return next.error();
    }
    if (booking != nullptr) {
        const auto missing = task::book_budget(task, booking->ppm, next->affinity_effective);
        if (!missing.ok()) {
            return missing.error();
        }
        booking->missing = *missing;
        if (booking->missing != 0) {
            return Error::Busy;
        }
    } else if ((change.fields & nexus_abi::kFieldBudget) != 0) {
        task::unbook_budget(task);
    }
    if (&task.process() != &caller.process) {
        audit(caller, AuditWhat::ForeignSet, &task, task.tid(), static_cast<std::int64_t>(result),
              field_of(change.fields, before, *next));
    }
    const SysResult outcome = task::apply_attributes(caller.task, task, *next, result);
    task::refresh_pi_waiter(task);
    return outcome;
}

sched::Authority authority_over(Caller& caller, task::Task& task) {
    return {.limits = task::read_limits(task),
            .online = task::online_cpus(),
            .privileged = caller.has_right(nexus_abi::kRightSchedAdmin),
            .group_ceiling = task::read_standing(task).group_ceiling,
            .ceilings_locked = (locks_in_force() & nexus_abi::kLockCeilings) != 0,
            .perfburst_locked = (locks_in_force() & nexus_abi::kLockPerfBurst) != 0};
}

SysResult sys_nexus_abi_info(Caller& caller, Out<abi_info> info, std::uint64_t size) {
    const auto checked = check_size(size, sizeof(abi_info));
    if (!checked.ok()) {
        return checked.error();
    }
    abi_info answer{.size = sizeof(abi_info),
                    .abi_version = nexus_abi::kAbiVersion,
                    .features = 0,
                    .cpus_online = task::online_cpus().bits(),
                    .cpus_possible = task::possible_cpus().bits(),
                    .timebase_hz = timebase_hz(),
                    .sched_attr_size = sizeof(sched_attr),
                    .sched_stat_size = sizeof(sched_stat),
                    .sched_hartstat_size = sizeof(sched_hartstat),
                    .spawn_args_size = sizeof(spawn_args),
                    .version = "neuron 0.1.0"};
    return copy_out_versioned(caller.space(), info, size, answer);
}

SysResult sys_sched_set_qos_class(Caller& caller, std::int32_t pid, std::int64_t qos_class) {
    return change_to(caller, pid, sched::parse_class(qos_class), 0);
}

SysResult sys_sched_get_qos_class(Caller& caller, std::int32_t pid) {
    const auto target = find_target(caller, pid, kRightSchedInspect);
    if (!target.ok()) {
        return target.error();
    }
    const auto requested = task::read_attributes(**target).qos_class;
    const auto effective = task::read_standing(**target).effective;
    return std::uint64_t{sched::index_of(requested) | sched::index_of(effective) << 8};
}

SysResult sys_sched_set_affinity(Caller& caller, std::int32_t pid, std::uint64_t mask) {
    return change_attributes(caller, pid, sched::parse_affinity(mask), 0);
}

SysResult sys_sched_set_affinity_policy(Caller& caller, std::int32_t pid, std::uint64_t size,
                                        In<std::uint64_t> mask, std::uint64_t policy) {
    if (size == 0 || size > kMaskSizeMax || size % sizeof(std::uint64_t) != 0) {
        return Error::InvalidArgument;
    }
    if (const auto form = sched::parse_affinity_policy(0, policy); !form.ok()) {
        return form.error();
    }
    // Words beyond the first name CPUs that cannot exist; they are read like the rest and dropped.
    std::array<std::uint64_t, kMaskSizeMax / sizeof(std::uint64_t)> words{};
    const auto copied =
        mm::copy_in_array(caller.space(), std::span{words}.first(size / sizeof(std::uint64_t)), mask);
    if (!copied.ok()) {
        return copied.error();
    }
    return change_to(caller, pid, sched::parse_affinity_policy(words[0], policy), 0);
}

SysResult sys_sched_set_shares(Caller& caller, std::int32_t pid, std::int64_t shares) {
    const auto change = sched::parse_shares(shares);
    return change_scalar(caller, pid, change, shares, change.ok() ? change->shares : 0);
}

SysResult sys_sched_set_latency_hint(Caller& caller, std::int32_t pid, std::int64_t milliseconds) {
    const auto change = sched::parse_latency_ms(milliseconds);
    return change_scalar(caller, pid, change, milliseconds,
                         change.ok() ? static_cast<std::uint64_t>(change->latency.ns() / kNsPerMs) : 0);
}

SysResult sys_sched_set_burst_hint(Caller& caller, std::int32_t pid, std::int64_t milliseconds) {
    const auto change = sched::parse_burst_ms(milliseconds);
    return change_scalar(caller, pid, change, milliseconds,
                         change.ok() ? static_cast<std::uint64_t>(change->burst.ns() / kNsPerMs) : 0);
}

SysResult sys_sched_set_budget(Caller& caller, std::int32_t pid, std::int64_t runtime_us,
                               std::int64_t period_us) {
    return change_to(caller, pid, sched::parse_budget(runtime_us, period_us), 0);
}

SysResult sys_sched_set_limits(Caller& caller, std::int32_t pid, In<sched_attr> limits, std::uint64_t size) {
    const auto wanted = copy_in_versioned(caller.space(), limits, size, sizeof(sched_attr));
    if (!wanted.ok()) {
        return wanted.error();
    }
    const auto change = sched::parse_limits(*wanted);
    if (!change.ok()) {
        return change.error();
    }
    const auto target = find_target(caller, pid, nexus_abi::kRightSchedAdmin);
    if (!target.ok()) {
        return target.error();
    }
    task::Task& task = **target;
    const auto limit = [&] {
        return sched::apply_limits(task::read_attributes(task), *change, authority_over(caller, task));
    };
    if (const auto first = limit(); !first.ok()) {
        if (first.error() == Error::NotPermitted) {
            audit(caller, AuditWhat::Denied, &task, task.tid(),
                  -static_cast<std::int64_t>(Error::NotPermitted), named(change->fields));
        }
        return first.error();
    }
    if ((change->fields & nexus_abi::kFieldGroup) != 0) {
        const SysResult grouped = task::set_group_ceiling(caller.task, task.process(), change->group_ceiling);
        if (!grouped.has_value() || grouped.value() != 0) {
            return grouped;
        }
        caller.task.call_progress = 0;  // what follows may wait, and is then not settled here
    }
    const LockGuard guard{attribute_lock};
    const auto next = limit();
    if (!next.ok()) {
        return next.error();
    }
    if (&task.process() != &caller.process) {
        audit(caller, AuditWhat::ForeignSet, &task, task.tid(), 0, named(change->fields));
    }
    const SysResult outcome = task::apply_limits(caller.task, task, *next);
    task::refresh_pi_waiter(task);
    return outcome;
}

SysResult sys_nexus_sched_setattr(Caller& caller, std::int32_t pid, In<sched_attr> attr,
                                  std::uint64_t flags) {
    if (flags != 0) {
        return Error::InvalidArgument;
    }
    const auto wanted = copy_in_versioned(caller.space(), attr, sizeof(sched_attr));
    if (!wanted.ok()) {
        return wanted.error();
    }
    const auto change = sched::parse_attr(*wanted);
    const SysResult outcome = change_to(caller, pid, change, 0);
    return change.ok() ? note_clamp(caller, pid, outcome, clamped_field(*wanted, *change)) : outcome;
}

SysResult sys_nexus_sched_getattr(Caller& caller, std::int32_t pid, Out<sched_attr> attr,
                                  std::uint64_t size) {
    if (const auto checked = check_size(size, sizeof(sched_attr)); !checked.ok()) {
        return checked.error();
    }
    const auto target = find_target(caller, pid, kRightSchedInspect);
    if (!target.ok()) {
        return target.error();
    }
    sched_attr answer;
    sched::fill_attr(task::read_attributes(**target), task::read_standing(**target), answer);
    return copy_out_versioned(caller.space(), attr, size, answer);
}

SysResult sys_sched_getstat(Caller& caller, std::int32_t pid, Out<sched_stat> stat, std::uint64_t size) {
    // The figures per CPU may be cut off.
    if (const auto checked = check_size(size, offsetof(sched_stat, runtime_by_cpu_ns)); !checked.ok()) {
        return checked.error();
    }
    const auto target = find_target(caller, pid, kRightSchedInspect);
    if (!target.ok()) {
        return target.error();
    }
    sched_stat answer;
    task::fill_task_stat(**target, answer);
    return copy_out_versioned(caller.space(), stat, size, answer);
}

SysResult sys_sched_hartstat(Caller& caller, std::uint64_t cpu, Out<sched_hartstat> stat,
                             std::uint64_t size) {
    // Programs may know less of it.
    if (const auto checked = check_size(size, offsetof(sched_hartstat, nr_denied)); !checked.ok()) {
        return checked.error();
    }
    if (cpu >= kMaxCpus || !task::possible_cpus().contains(CpuId{static_cast<std::uint32_t>(cpu)})) {
        return Error::InvalidArgument;
    }
    sched_hartstat answer{};
    task::fill_hart_stat(CpuId{static_cast<std::uint32_t>(cpu)}, answer);
    const AuditCounts audited = audit_counts(CpuId{static_cast<std::uint32_t>(cpu)});
    answer.nr_denied = audited.denied;
    answer.nr_clamped = audited.clamped;
    answer.nr_foreign_sets = audited.foreign_sets;
    return copy_out_versioned(caller.space(), stat, size, answer);
}

SysResult sys_nexus_cpu_set_online(Caller& caller, std::uint64_t cpu, std::uint32_t online) {
    if (online > 1 || cpu >= kMaxCpus ||
        !task::possible_cpus().contains(CpuId{static_cast<std::uint32_t>(cpu)})) {
        return Error::InvalidArgument;
    }
    if (!caller.has_right(nexus_abi::kRightSchedAdmin)) {
        return deny(caller);
    }
    return task::set_cpu_online(caller.task, CpuId{static_cast<std::uint32_t>(cpu)}, online == 1);
}

SysResult sys_sched_snapshot(Caller& caller, Out<sched_snapshot_entry> entries, std::uint64_t count,
                             InOut<std::uint64_t> cursor) {
    const auto after = mm::copy_in(caller.space(), cursor);
    if (!after.ok()) {
        return after.error();
    }
    if (*after > std::numeric_limits<std::uint32_t>::max()) {
        return Error::InvalidArgument;
    }
    if (!caller.has_right(kRightSchedInspect)) {
        return deny(caller);
    }
    TaskId last{static_cast<std::uint32_t>(*after)};
    std::uint64_t filled = 0;
    bool is_end = false;
    for (std::uint64_t looked_at = 0; looked_at < kTasksPerStep && filled < std::min(count, kSnapshotPerCall);
         ++looked_at) {
        const Ref<task::Task> found = task::lookup_next_task(last);
        if (!found) {
            is_end = true;
            break;
        }
        last = found->tid();
        if (found->run_state.load(std::memory_order_acquire) == task::RunState::Dead) {
            continue;
        }
        const auto copied = mm::copy_out(caller.space(),
                                         Out<sched_snapshot_entry>{mm::user_address(entries).value() +
                                                                   filled * sizeof(sched_snapshot_entry)},
                                         snapshot_of(*found));
        if (!copied.ok()) {
            return copied.error();
        }
        ++filled;
    }
    const auto stored = mm::copy_out(caller.space(), cursor, std::uint64_t{last.value()});
    if (!stored.ok()) {
        return stored.error();
    }
    // 0 means the end: when only ended tasks were seen, the call goes on from where the cursor is now.
    return filled == 0 && count != 0 && !is_end ? SysResult::again() : SysResult{filled};
}

sched_snapshot_entry snapshot_of(task::Task& task) {
    sched_stat stat;
    task::fill_task_stat(task, stat);
    const sched::Attributes attributes = task::read_attributes(task);
    sched_snapshot_entry entry{.tid = task.tid().value(),
                               .pid = task.process().pid().value(),
                               .state = stat.state,
                               .cpu = stat.last_cpu,
                               .qos_class = static_cast<std::uint32_t>(attributes.qos_class),
                               .effective_class = stat.effective_class,
                               .shares = attributes.shares,
                               .parent = parent_pid(task.process()).value(),
                               .runtime_ns = stat.runtime_ns,
                               .wait_ns = stat.wait_ns,
                               .affinity = stat.mask_effective,
                               .name = {}};
    std::ranges::copy(task.name(), entry.name);
    return entry;
}

TaskId parent_pid(task::Process& process) {
    return TaskId{static_cast<std::uint32_t>(process.parent_pid.load(std::memory_order_relaxed))};
}

}  // namespace kernel::syscall
