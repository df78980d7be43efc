// SPDX-License-Identifier: MIT
// Linux' scheduling calls, as far as the classes and shares of NEURON can say the same.
#include <algorithm>
#include <array>
#include <bit>

#include "mm/user_memory.hpp"
#include "sched/params.hpp"
#include "syscall/change_attributes.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/target.hpp"
#include "syscall/time_values.hpp"
#include "syscall/versioned.hpp"
#include "task/dispatcher.hpp"
#include "task/process_group.hpp"
#include "task/task_table.hpp"

namespace kernel::syscall {

namespace {

using nexus_abi::kRightSchedAdmin;
using nexus_abi::kRightSchedInspect;
using nexus_abi::QosClass;

// include/uapi/linux/sched.h, sched/types.h
enum class Policy : std::uint32_t { Other = 0, Fifo = 1, RoundRobin = 2, Batch = 3, Idle = 5, Deadline = 6 };
constexpr std::uint32_t kResetOnFork = 0x4000'0000;
constexpr std::uint64_t kFlagResetOnFork = 0x01;
constexpr std::uint64_t kFlagKeepPolicy = 0x08;
constexpr std::uint64_t kFlagKeepParams = 0x10;
constexpr std::uint64_t kKnownFlags = kFlagResetOnFork | kFlagKeepPolicy | kFlagKeepParams;
constexpr std::uint32_t kAttrFirstSize = 48;  // SCHED_ATTR_SIZE_VER0
constexpr std::uint64_t kSliceMinNs = 100'000;
constexpr std::uint64_t kSliceMaxNs = 100'000'000;
constexpr std::int32_t kRealtimePriorityMin = 1;
constexpr std::int32_t kRealtimePriorityMax = 99;

constexpr std::uint32_t kPrioProcess = 0;
constexpr std::uint32_t kPrioGroup = 1;
constexpr std::uint32_t kPrioUser = 2;
constexpr std::uint32_t kThreadsPerStep = 16;
constexpr std::int32_t kNiceMin = -20;
constexpr std::int32_t kNiceMax = 19;
// Linux' weight of each nice level, -20 first (kernel/sched/core.c, sched_prio_to_weight): 1.25 per step,
// 1024 at 0.
constexpr std::array<std::uint32_t, 40> kNiceWeight{
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906,  3121,  2501,  1991,  1586,  1277,  1024,  820,   655,   526,   423,  335,  272,  215,
    172,   137,   110,   87,    70,    56,    45,    36,    29,    23,    18,   15};
constexpr std::uint32_t kNiceWeightNormal = 1024;

constexpr std::int64_t shares_of_nice(std::int32_t nice) {
    const std::uint32_t weight = kNiceWeight[static_cast<std::size_t>(nice - kNiceMin)];
    const std::uint32_t shares =
        (nexus_abi::kSharesDefault * weight + kNiceWeightNormal / 2) / kNiceWeightNormal;
    return std::clamp(shares, nexus_abi::kSharesMin, nexus_abi::kSharesMax);
}
static_assert(shares_of_nice(0) == nexus_abi::kSharesDefault && shares_of_nice(kNiceMax) == 1);

bool is_realtime(Policy policy) {
    return policy == Policy::Fifo || policy == Policy::RoundRobin;
}

Result<Policy> parse_policy(std::uint32_t value) {
    switch (static_cast<Policy>(value)) {
        case Policy::Other:
        case Policy::Fifo:
        case Policy::RoundRobin:
        case Policy::Batch:
        case Policy::Idle:
            return static_cast<Policy>(value);
        case Policy::Deadline:
            break;
    }
    return Error::InvalidArgument;
}

QosClass class_of(Policy policy) {
    switch (policy) {
        case Policy::Idle:
            return QosClass::Idle;
        case Policy::Fifo:
        case Policy::RoundRobin:
            return QosClass::PerfBurst;
        default:
            return QosClass::Normal;
    }
}

// What a task's policy looks like: what was set, unless its class was changed to another one since.
struct Seen {
    Policy policy{};
    std::int32_t priority{0};
    bool resets_on_fork{false};
    Duration latency{};
};

Seen look_at(task::Task& task) {
    const sched::Attributes attributes = task::read_attributes(task);
    const task::LinuxPolicy set = task.linux_policy.load();
    const auto policy = static_cast<Policy>(set.policy);
    const bool resets = (attributes.flags & nexus_abi::kAttrResetOnSpawn) != 0;
    if (class_of(policy) == attributes.qos_class) {
        return {.policy = policy,
                .priority = set.priority,
                .resets_on_fork = resets,
                .latency = attributes.latency};
    }
    return {.policy = attributes.qos_class == QosClass::Idle ? Policy::Idle : Policy::Other,
            .priority = 0,
            .resets_on_fork = resets,
            .latency = attributes.latency};
}

// What a policy call asks for.
struct Wanted {
    Policy policy{};
    std::int32_t priority{0};
    bool resets_on_fork{false};
    bool has_nice{false};
    std::int32_t nice{0};
    bool has_slice{false};
    Duration slice{};
};

void note_nice(task::Task& task, std::int32_t nice) {
    task::LinuxPolicy told = task.linux_policy.load();
    told.nice = static_cast<std::int8_t>(nice);
    task.linux_policy.store(told);
}

// Pre: nice is in range.
SysResult set_nice(Caller& caller, std::int32_t who, std::int32_t nice) {
    const auto target = find_target(caller, who, kRightSchedAdmin);
    if (!target.ok()) {
        return target.error();
    }
    const auto change = sched::parse_shares(shares_of_nice(nice));
    if (!change.ok()) {
        return change.error();
    }
    SysResult outcome = change_attributes(caller, who, *change, 0);
    if (!outcome.has_value() || outcome.value() == 0) {
        note_nice(**target, nice);
        return outcome;
    }
    // The target is the caller's to change: what is refused is the value.
    return outcome.value() == -static_cast<std::int64_t>(Error::NotPermitted) ? SysResult{Error::AccessDenied}
                                                                              : outcome;
}

// Task::call_progress of a call that goes through threads.
struct Walk {
    std::uint32_t last_tid{0};
    std::uint8_t has_found{0};
    std::uint8_t most{0};  // of what was returned for them
    std::uint16_t unused{0};
};
static_assert(sizeof(Walk) == sizeof(std::uint64_t));

// The threads that PRIO_PGRP and PRIO_USER mean, in the order of their ids, some a step: act(task, may) says
// a number below 256 for each; finish(the largest) is the result. Errors: InvalidArgument, NoProcess.
template <class Act, class Finish>
SysResult for_each_of(Caller& caller, std::uint32_t which, std::uint32_t who, std::uint64_t right, Act&& act,
                      Finish&& finish) {
    if (which != kPrioGroup && which != kPrioUser) {
        return Error::InvalidArgument;
    }
    const std::uint32_t wanted = who != 0 ? who
                                          : (which == kPrioGroup ? task::group_of(caller.process).value()
                                                                 : caller.process.identity.user.real.load());
    Walk walk = std::bit_cast<Walk>(caller.task.call_progress);
    for (std::uint32_t looked_at = 0; looked_at < kThreadsPerStep; ++looked_at) {
        const Ref<task::Task> task = task::lookup_next_task(TaskId{walk.last_tid});
        if (!task) {
            return walk.has_found != 0 ? SysResult{finish(walk.most)} : SysResult{Error::NoProcess};
        }
        walk.last_tid = task->tid().value();
        task::Process& process = task->process();
        const std::uint32_t is_in =
            which == kPrioGroup ? task::group_of(process).value() : process.identity.user.real.load();
        if (is_in == wanted && task->run_state.load() != task::RunState::Dead) {
            const bool may = may_reach(caller, process, right);
            walk.has_found = 1;
            walk.most = std::max(walk.most, act(*task, may));
        }
    }
    caller.task.call_progress = std::bit_cast<std::uint64_t>(walk);
    return SysResult::again();
}

// The rest of a policy call, once its arguments have been read: errors in Linux' order.
SysResult set_policy(Caller& caller, std::int32_t tid, const Wanted& wanted) {
    const std::int32_t lowest = is_realtime(wanted.policy) ? kRealtimePriorityMin : 0;
    const std::int32_t highest = is_realtime(wanted.policy) ? kRealtimePriorityMax : 0;
    if (tid < 0 || wanted.priority < lowest || wanted.priority > highest) {
        return Error::InvalidArgument;
    }
    const auto target = find_target(caller, tid, kRightSchedAdmin);
    if (!target.ok()) {
        return target.error();
    }
    task::Task& task = **target;
    const Seen before = look_at(task);
    const bool may_do_all = caller.has_right(kRightSchedAdmin);
    if (!may_do_all &&
        ((is_realtime(wanted.policy) && wanted.policy != before.policy) ||
         wanted.priority > before.priority || (before.resets_on_fork && !wanted.resets_on_fork))) {
        return Error::NotPermitted;
    }
    sched::Change change{.fields = nexus_abi::kFieldFlags, .qos_class = class_of(wanted.policy)};
    // A class that stays is not asked for: it may be above a ceiling that came down later.
    if (wanted.policy != before.policy) {
        change.fields |= nexus_abi::kFieldClass;
    }
    change.flags = (task::read_attributes(task).flags & ~nexus_abi::kAttrResetOnSpawn) |
                   (wanted.resets_on_fork ? nexus_abi::kAttrResetOnSpawn : 0);
    if (wanted.has_nice) {
        change.fields |= nexus_abi::kFieldShares;
        change.shares = static_cast<std::uint32_t>(shares_of_nice(wanted.nice));
    }
    if (wanted.has_slice) {
        change.fields |= nexus_abi::kFieldLatency;
        change.latency = wanted.slice;
    }
    const std::int32_t nice = task.linux_policy.load().nice;
    SysResult outcome = change_attributes(caller, tid, change, 0);
    if (!outcome.has_value() || outcome.value() == 0) {
        task.linux_policy.store({.policy = static_cast<std::uint8_t>(wanted.policy),
                                 .priority = static_cast<std::uint8_t>(wanted.priority),
                                 .nice = static_cast<std::int8_t>(wanted.has_nice ? wanted.nice : nice),
                                 .resets_on_fork = wanted.resets_on_fork});
    }
    return outcome;
}

Result<std::int32_t> read_priority(Caller& caller, In<sched_param> param) {
    if (param.is_null()) {
        return Error::InvalidArgument;
    }
    return TRY(mm::copy_in(caller.space(), param)).priority;
}

// Beyond every priority there is; larger ones are as wrong as this one.
constexpr std::uint32_t kPriorityBound = 1000;

// Linux' rules of the struct's size: 0 is the first version's; what is too small or has something unknown in
// it is TooBig, and the kernel's size is written back.
Result<linux_sched_attr> read_attr(Caller& caller, In<linux_sched_attr> from) {
    const std::uint64_t address = mm::user_address(from).value();
    std::uint32_t size = TRY(mm::copy_in(caller.space(), In<std::uint32_t>{address}));
    if (size == 0) {
        size = kAttrFirstSize;
    }
    if (size < kAttrFirstSize || size > kMaxStructBytes) {
        TRY(mm::copy_out(caller.space(), Out<std::uint32_t>{address},
                         std::uint32_t{sizeof(linux_sched_attr)}));
        return Error::TooBig;
    }
    return copy_in_versioned(caller.space(), from, size, kAttrFirstSize);
}

// Copies a mask of `size` bytes, of which we know 64 bits.
Result<std::uint64_t> read_mask(Caller& caller, std::uint64_t size, In<char> mask) {
    std::array<std::uint64_t, 1> bits{};
    const auto known =
        std::as_writable_bytes(std::span{bits}).first(std::min<std::size_t>(size, sizeof(bits)));
    TRY(mm::copy_from_user(caller.space(), known, mm::user_address(mask)));
    return bits[0];
}

}  // namespace

SysResult sys_sched_setparam(Caller& caller, std::int32_t tid, In<sched_param> param) {
    const auto priority = read_priority(caller, param);
    if (!priority.ok()) {
        return priority.error();
    }
    const auto target = find_target(caller, tid, kRightSchedAdmin);
    if (!target.ok()) {
        return target.error();
    }
    const Seen now = look_at(**target);
    return set_policy(caller, tid,
                      {.policy = now.policy, .priority = *priority, .resets_on_fork = now.resets_on_fork});
}

SysResult sys_sched_setscheduler(Caller& caller, std::int32_t tid, std::int32_t policy,
                                 In<sched_param> param) {
    const auto parsed = parse_policy(static_cast<std::uint32_t>(policy) & ~kResetOnFork);
    const auto priority = read_priority(caller, param);
    if (!parsed.ok() || !priority.ok()) {
        return parsed.ok() ? priority.error() : parsed.error();
    }
    return set_policy(caller, tid,
                      {.policy = *parsed,
                       .priority = *priority,
                       .resets_on_fork = (static_cast<std::uint32_t>(policy) & kResetOnFork) != 0});
}

SysResult sys_sched_setattr(Caller& caller, std::int32_t tid, In<linux_sched_attr> attr,
                            std::uint32_t flags) {
    if (attr.is_null() || tid < 0 || flags != 0) {
        return Error::InvalidArgument;
    }
    const auto read = read_attr(caller, attr);
    if (!read.ok()) {
        return read.error();
    }
    const auto target = find_target(caller, tid, kRightSchedAdmin);
    if ((read->flags & ~kKnownFlags) != 0) {
        return Error::InvalidArgument;
    }
    if (!target.ok()) {
        return target.error();
    }
    const Seen now = look_at(**target);
    const bool keeps_policy = (read->flags & kFlagKeepPolicy) != 0;
    const bool keeps_params = (read->flags & kFlagKeepParams) != 0;
    const auto policy = keeps_policy ? Result<Policy>{now.policy} : parse_policy(read->policy);
    if (!policy.ok()) {
        return policy.error();
    }
    const std::uint64_t slice = std::clamp(read->runtime_ns, kSliceMinNs, kSliceMaxNs);
    const bool is_fair = !is_realtime(*policy);
    return set_policy(
        caller, tid,
        {.policy = *policy,
         .priority = keeps_params ? now.priority
                                  : static_cast<std::int32_t>(std::min(read->priority, kPriorityBound)),
         .resets_on_fork = (read->flags & kFlagResetOnFork) != 0,
         .has_nice = is_fair && !keeps_params,
         .nice = std::clamp(read->nice, kNiceMin, kNiceMax),
         .has_slice = is_fair && *policy != Policy::Idle && !keeps_params,
         .slice = Duration::nanoseconds(read->runtime_ns == 0 ? 0 : static_cast<std::int64_t>(slice))});
}

SysResult sys_sched_getattr(Caller& caller, std::int32_t tid, Out<linux_sched_attr> attr, std::uint32_t size,
                            std::uint32_t flags) {
    if (mm::user_address(attr) == VirtAddr{} || tid < 0 || flags != 0 || size < kAttrFirstSize ||
        size > kMaxStructBytes) {
        return Error::InvalidArgument;
    }
    const auto target = find_target(caller, tid, kRightSchedInspect);
    if (!target.ok()) {
        return target.error();
    }
    const Seen now = look_at(**target);
    linux_sched_attr answer{};
    answer.policy = static_cast<std::uint32_t>(now.policy);
    answer.flags = now.resets_on_fork ? kFlagResetOnFork : 0;
    if (is_realtime(now.policy)) {
        answer.priority = static_cast<std::uint32_t>(now.priority);
    } else {
        answer.nice = (*target)->linux_policy.load().nice;
        answer.runtime_ns = static_cast<std::uint64_t>(
            (now.latency.is_zero() ? sched::row_of(task::read_standing(**target).effective).task_request
                                   : now.latency)
                .ns());
    }
    // Only what this kernel knows is written.
    answer.size = std::min<std::uint32_t>(size, sizeof(answer));
    return mm::copy_to_user(caller.space(), mm::user_address(attr),
                            std::as_bytes(std::span{&answer, 1}).first(answer.size));
}

SysResult sys_sched_getscheduler(Caller& caller, std::int32_t tid) {
    const auto target = find_target(caller, tid, kRightSchedInspect);
    if (!target.ok()) {
        return target.error();
    }
    const Seen now = look_at(**target);
    return std::uint64_t{static_cast<std::uint32_t>(now.policy) | (now.resets_on_fork ? kResetOnFork : 0)};
}

SysResult sys_sched_getparam(Caller& caller, std::int32_t tid, Out<sched_param> param) {
    if (param.is_null()) {
        return Error::InvalidArgument;
    }
    const auto target = find_target(caller, tid, kRightSchedInspect);
    if (!target.ok()) {
        return target.error();
    }
    return mm::copy_out(caller.space(), param, sched_param{.priority = look_at(**target).priority});
}

SysResult sys_sched_setaffinity(Caller& caller, std::int32_t tid, std::uint64_t size, In<char> mask) {
    const auto bits = read_mask(caller, size, mask);
    if (!bits.ok()) {
        return bits.error();
    }
    return change_attributes(caller, tid, sched::parse_affinity(*bits), 0);
}

SysResult sys_sched_getaffinity(Caller& caller, std::int32_t tid, std::uint64_t size, Out<char> mask) {
    const std::uint64_t possible = task::possible_cpus().bits();
    if (size % sizeof(std::uint64_t) != 0 || (size < sizeof(std::uint64_t) && possible != 0)) {
        return Error::InvalidArgument;
    }
    const auto target = find_target(caller, tid, kRightSchedInspect);
    if (!target.ok()) {
        return target.error();
    }
    const std::uint64_t bits = task::read_attributes(**target).affinity_effective.bits();
    const auto copied =
        mm::copy_out(caller.space(), Out<std::uint64_t>{mm::user_address(mask).value()}, bits);
    return copied.ok() ? SysResult{std::uint64_t{sizeof(bits)}} : SysResult{copied.error()};
}

SysResult sys_sched_yield(Caller&) {
    task::request_yield();
    return std::uint64_t{0};
}

SysResult sys_sched_get_priority_max(Caller&, std::int32_t policy) {
    const auto parsed = parse_policy(static_cast<std::uint32_t>(policy));
    if (!parsed.ok()) {
        return parsed.error();
    }
    return std::uint64_t{is_realtime(*parsed) ? kRealtimePriorityMax : 0U};
}

SysResult sys_sched_get_priority_min(Caller&, std::int32_t policy) {
    const auto parsed = parse_policy(static_cast<std::uint32_t>(policy));
    if (!parsed.ok()) {
        return parsed.error();
    }
    return std::uint64_t{is_realtime(*parsed) ? kRealtimePriorityMin : 0U};
}

SysResult sys_sched_rr_get_interval(Caller& caller, std::int32_t tid, Out<timespec> interval) {
    const auto target = find_target(caller, tid, kRightSchedInspect);
    if (!target.ok()) {
        return target.error();
    }
    const auto qos_class = task::read_standing(**target).effective;
    return mm::copy_out(caller.space(), interval, to_timespec(sched::row_of(qos_class).task_request));
}

SysResult sys_setpriority(Caller& caller, std::uint32_t which, std::uint32_t who, std::int32_t nice) {
    nice = std::clamp(nice, kNiceMin, kNiceMax);
    if (which == kPrioProcess) {
        return set_nice(caller, static_cast<std::int32_t>(who), nice);
    }
    const auto change = [&](task::Task& task, bool may) {
        if (!may) {
            return static_cast<std::uint8_t>(Error::NotPermitted);
        }
        const SysResult outcome = set_nice(caller, static_cast<std::int32_t>(task.tid().value()), nice);
        // One that has ended meanwhile is as good as changed.
        const bool is_refused =
            outcome.has_value() && outcome.value() == -static_cast<std::int64_t>(Error::AccessDenied);
        return static_cast<std::uint8_t>(is_refused ? static_cast<std::uint8_t>(Error::AccessDenied) : 0);
    };
    return for_each_of(caller, which, who, kRightSchedAdmin, change, [](std::uint8_t error) {
        return error != 0 ? Result<void>{static_cast<Error>(error)} : Result<void>{};
    });
}

SysResult sys_getpriority(Caller& caller, std::uint32_t which, std::uint32_t who) {
    // 1..40: the system call cannot return what looks like an error.
    const auto priority_of = [](const task::Task& task, bool may = true) {
        return static_cast<std::uint8_t>(may ? kNiceMax + 1 - task.linux_policy.load().nice : 0);
    };
    if (which == kPrioProcess) {
        const auto target = find_target(caller, static_cast<std::int32_t>(who), kRightSchedInspect);
        return target.ok() ? SysResult{std::uint64_t{priority_of(**target)}} : SysResult{target.error()};
    }
    return for_each_of(caller, which, who, kRightSchedInspect, priority_of, [](std::uint8_t most) {
        return most != 0 ? Result<std::uint64_t>{most} : Result<std::uint64_t>{Error::NotPermitted};
    });
}

SysResult sys_getcpu(Caller& caller, Out<std::uint32_t> cpu, Out<std::uint32_t> node, std::uint64_t) {
    if (!cpu.is_null()) {
        if (const auto copied = mm::copy_out(caller.space(), cpu, arch::current_cpu().value());
            !copied.ok()) {
            return copied.error();
        }
    }
    if (!node.is_null()) {
        return mm::copy_out(caller.space(), node, std::uint32_t{0});
    }
    return std::uint64_t{0};
}

}  // namespace kernel::syscall
