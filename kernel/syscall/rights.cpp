// SPDX-License-Identifier: MIT
// What a program may do, and how that gets less: rights given up, locks that stay, ceilings told, time of
// CPUs booked. docs/security.md.
#include <atomic>

#include "mm/user_memory.hpp"
#include "sched/params.hpp"
#include "syscall/audit.hpp"
#include "syscall/change_attributes.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/target.hpp"
#include "syscall/versioned.hpp"
#include "task/dispatcher.hpp"
#include "task/task_table.hpp"

namespace kernel::syscall {

namespace {

constinit std::atomic<std::uint64_t> locks{0};

}  // namespace

std::uint64_t locks_in_force() {
    return locks.load(std::memory_order_relaxed);
}

SysResult sys_sched_get_limits(Caller& caller, std::int32_t pid, Out<sched_attr> limits, std::uint64_t size) {
    if (const auto checked = check_size(size, sizeof(sched_attr)); !checked.ok()) {
        return checked.error();
    }
    const auto target = find_target(caller, pid, nexus_abi::kRightSchedInspect);
    if (!target.ok()) {
        return target.error();
    }
    sched_attr answer;
    sched::fill_limits(authority_over(caller, **target), answer);
    return copy_out_versioned(caller.space(), limits, size, answer);
}

SysResult sys_nexus_limit_rights(Caller& caller, std::uint64_t keep) {
    if ((keep & ~nexus_abi::kRightsAll) != 0) {
        return Error::InvalidArgument;
    }
    return caller.process.rights.fetch_and(keep, std::memory_order_acq_rel) & keep;
}

SysResult sys_nexus_sched_lock(Caller& caller, std::uint64_t wanted) {
    if ((wanted & ~nexus_abi::kLocksAll) != 0) {
        return Error::InvalidArgument;
    }
    if (wanted != 0 && !caller.has_right(nexus_abi::kRightSchedAdmin)) {
        return deny(caller);
    }
    return locks.fetch_or(wanted, std::memory_order_acq_rel) | wanted;
}

SysResult sys_sched_reserve_budget(Caller& caller, std::int32_t pid, std::int64_t runtime_us,
                                   std::int64_t period_us, Out<std::uint64_t> shortfall) {
    const auto change = sched::parse_budget(runtime_us, period_us);
    if (!change.ok()) {
        return change.error();
    }
    if (!caller.has_right(nexus_abi::kRightSchedAdmin)) {
        return deny(caller, TaskId{static_cast<std::uint32_t>(pid < 0 ? 0 : pid)});
    }
    if (!change->budget.is_capped()) {
        return change_attributes(caller, pid, *change, 0);
    }
    Booking booking{.ppm = static_cast<std::uint32_t>(runtime_us * 1'000'000 / period_us)};
    const SysResult outcome = change_attributes(caller, pid, *change, 0, &booking);
    if (booking.missing != 0) {
        const auto told = mm::copy_out(caller.space(), shortfall, std::uint64_t{booking.missing});
        return told.ok() ? Error::Busy : told.error();
    }
    return outcome;
}

SysResult sys_nexus_task_serial(Caller& caller, std::int32_t pid) {
    const auto target = find_target(caller, pid, nexus_abi::kRightSchedInspect);
    return target.ok() ? SysResult{task::task_serial((*target)->tid())} : SysResult{target.error()};
}

}  // namespace kernel::syscall
