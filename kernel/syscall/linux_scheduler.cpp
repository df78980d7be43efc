// SPDX-License-Identifier: MIT
// Linux' scheduling calls, as far as the classes and shares of NEURON can say the same.
#include <algorithm>
#include <array>

#include "mm/user_memory.hpp"
#include "sched/params.hpp"
#include "syscall/change_attributes.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/target.hpp"
#include "syscall/time_values.hpp"
#include "task/dispatcher.hpp"

namespace kernel::syscall {

namespace {

using nexus_abi::kRightSchedAdmin;
using nexus_abi::kRightSchedInspect;
using nexus_abi::QosClass;

// include/uapi/linux/sched.h
enum class Policy : std::uint32_t { Other = 0, Fifo = 1, RoundRobin = 2, Batch = 3, Idle = 5, Deadline = 6 };
constexpr std::uint32_t kResetOnFork = 0x4000'0000;
constexpr std::int32_t kRealtimePriorityMin = 1;
constexpr std::int32_t kRealtimePriorityMax = 99;

constexpr std::uint32_t kPrioProcess = 0;
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
            return QosClass::Interactive;
        default:
            return QosClass::Normal;
    }
}

Policy policy_of(QosClass qos_class) {
    return qos_class == QosClass::Idle ? Policy::Idle : Policy::Other;
}

Result<std::int32_t> read_priority(Caller& caller, In<sched_param> param) {
    if (param.is_null()) {
        return Error::InvalidArgument;
    }
    return TRY(mm::copy_in(caller.space(), param)).priority;
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
    if (*priority != 0) {
        return Error::InvalidArgument;
    }
    const auto target = find_target(caller, tid, kRightSchedAdmin);
    return target.ok() ? SysResult{std::uint64_t{0}} : SysResult{target.error()};
}

SysResult sys_sched_setscheduler(Caller& caller, std::int32_t tid, std::int32_t policy,
                                 In<sched_param> param) {
    const auto parsed = parse_policy(static_cast<std::uint32_t>(policy) & ~kResetOnFork);
    const auto priority = read_priority(caller, param);
    if (!parsed.ok() || !priority.ok()) {
        return parsed.ok() ? priority.error() : parsed.error();
    }
    const std::int32_t lowest = is_realtime(*parsed) ? kRealtimePriorityMin : 0;
    const std::int32_t highest = is_realtime(*parsed) ? kRealtimePriorityMax : 0;
    if (tid < 0 || *priority < lowest || *priority > highest) {
        return Error::InvalidArgument;
    }
    if (is_realtime(*parsed) && !caller.has_right(kRightSchedAdmin)) {
        return Error::NotPermitted;
    }
    const auto change = sched::parse_class(static_cast<std::int64_t>(class_of(*parsed)));
    return change.ok() ? change_attributes(caller, tid, *change, 0) : SysResult{change.error()};
}

SysResult sys_sched_getscheduler(Caller& caller, std::int32_t tid) {
    const auto target = find_target(caller, tid, kRightSchedInspect);
    if (!target.ok()) {
        return target.error();
    }
    return static_cast<std::uint64_t>(policy_of(task::read_attributes(**target).qos_class));
}

SysResult sys_sched_getparam(Caller& caller, std::int32_t tid, Out<sched_param> param) {
    if (param.is_null()) {
        return Error::InvalidArgument;
    }
    const auto target = find_target(caller, tid, kRightSchedInspect);
    if (!target.ok()) {
        return target.error();
    }
    return mm::copy_out(caller.space(), param, sched_param{.priority = 0});
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
    if (which != kPrioProcess) {
        return Error::InvalidArgument;
    }
    const auto target = find_target(caller, static_cast<std::int32_t>(who), kRightSchedAdmin);
    if (!target.ok()) {
        return target.error();
    }
    nice = std::clamp(nice, kNiceMin, kNiceMax);
    const auto change = sched::parse_shares(shares_of_nice(nice));
    if (!change.ok()) {
        return change.error();
    }
    SysResult outcome = change_attributes(caller, static_cast<std::int32_t>(who), *change, 0);
    if (outcome.has_value() && outcome.value() == 0) {
        (*target)->nice = nice;
    }
    return outcome;
}

SysResult sys_getpriority(Caller& caller, std::uint32_t which, std::uint32_t who) {
    if (which != kPrioProcess) {
        return Error::InvalidArgument;
    }
    const auto target = find_target(caller, static_cast<std::int32_t>(who), kRightSchedInspect);
    if (!target.ok()) {
        return target.error();
    }
    // 1..40: the system call cannot return what looks like an error.
    return static_cast<std::uint64_t>(kNiceMax + 1 - (*target)->nice);
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
