// SPDX-License-Identifier: MIT
// Life of threads and processes, and what they may ask about themselves.
#include <array>
#include <limits>

#include "mm/user_memory.hpp"
#include "syscall/change_attributes.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/target.hpp"
#include "syscall/time_values.hpp"
#include "task/dispatcher.hpp"
#include "task/lifecycle.hpp"
#include "task/process_group.hpp"
#include "task/signal.hpp"

namespace kernel::syscall {

namespace {

// include/uapi/linux/sched.h
constexpr std::uint64_t kCloneExitSignal = 0xff;
constexpr std::uint64_t kCloneVm = 0x100;
constexpr std::uint64_t kCloneFs = 0x200;
constexpr std::uint64_t kCloneFiles = 0x400;
constexpr std::uint64_t kCloneSigHand = 0x800;
constexpr std::uint64_t kCloneVfork = 0x4000;
constexpr std::uint64_t kCloneThread = 0x1'0000;
constexpr std::uint64_t kCloneSysVSem = 0x4'0000;
constexpr std::uint64_t kCloneSetTls = 0x8'0000;
constexpr std::uint64_t kCloneParentSetTid = 0x10'0000;
constexpr std::uint64_t kCloneChildClearTid = 0x20'0000;
constexpr std::uint64_t kCloneDetached = 0x40'0000;  // means nothing; musl sets it
constexpr std::uint64_t kCloneChildSetTid = 0x100'0000;
// A thread shares all of these: pthread_create asks for them. SysVSem has nothing to share and may be left
// out.
constexpr std::uint64_t kThreadFlags = kCloneVm | kCloneFs | kCloneFiles | kCloneSigHand | kCloneThread;
constexpr std::uint64_t kOptionalFlags = kCloneSysVSem | kCloneSetTls | kCloneParentSetTid |
                                         kCloneChildClearTid | kCloneDetached | kCloneChildSetTid;
// A process shares none, but that it may borrow the memory.
constexpr std::uint64_t kProcessFlags = kCloneVm | kCloneVfork | kOptionalFlags | kCloneExitSignal;

// include/uapi/linux/wait.h
constexpr std::uint32_t kWaitNoHang = 1;
constexpr std::uint32_t kWaitStopped = 2;  // WUNTRACED is the same
constexpr std::uint32_t kWaitExited = 4;
constexpr std::uint32_t kWaitContinued = 8;
constexpr std::uint32_t kWaitKeep = 0x0100'0000;  // WNOWAIT
constexpr std::int32_t kWaitForAny = 0;
constexpr std::int32_t kWaitForPid = 1;
constexpr std::int32_t kWaitForGroup = 2;
constexpr std::uint32_t kWaitIgnored = 0x2000'0000 | 0x4000'0000 | 0x8000'0000;  // whose threads' children

// include/uapi/linux/prctl.h
constexpr std::uint32_t kPrctlSetName = 15;
constexpr std::uint32_t kPrctlGetName = 16;

// include/uapi/asm-generic/resource.h
using task::ResourceLimits;
constexpr std::uint64_t kSmallestStack = 64 << 10;

constexpr std::int32_t kUsageThread = 1;
constexpr std::int32_t kUsageSelf = 0;
constexpr std::int32_t kUsageChildren = -1;

rusage to_rusage(const task::Usage& usage) {
    rusage result{};
    result.user_time = to_timeval(usage.runtime);
    result.voluntary_switches = static_cast<std::int64_t>(usage.voluntary_switches);
    result.involuntary_switches = static_cast<std::int64_t>(usage.involuntary_switches);
    return result;
}

task::Usage usage_of_children(task::Process& process) {
    const LockGuard guard{task::family_lock()};
    return process.dead_children;
}

// Nobody may raise a maximum.
Result<void> set_limit(task::Process& process, std::uint32_t resource, const rlimit64& wanted) {
    if (wanted.current > wanted.maximum) {
        return Error::InvalidArgument;
    }
    if (wanted.maximum > process.limits.get(resource).maximum) {
        return Error::NotPermitted;
    }
    if (resource == ResourceLimits::kStack && wanted.current < kSmallestStack) {
        return Error::NotPermitted;
    }
    process.limits.set(resource, {.current = wanted.current, .maximum = wanted.maximum});
    if (resource == ResourceLimits::kFiles) {
        process.files.limit.store(static_cast<std::uint32_t>(wanted.current));
    }
    return {};
}

std::uint64_t address_if(std::uint64_t flag, Out<std::int32_t> pointer) {
    return flag != 0 ? mm::user_address(pointer).value() : 0;
}

SysResult clone_process(Caller& caller, std::uint64_t flags, std::uint64_t stack,
                        Out<std::int32_t> parent_tid, std::uint64_t tls, Out<std::int32_t> child_tid) {
    const std::uint64_t exit_signal = flags & kCloneExitSignal;
    if ((flags & ~kProcessFlags) != 0 || (exit_signal != 0 && exit_signal != task::signal::kChild)) {
        return Error::InvalidArgument;
    }
    return task::fork_process(caller.task,
                              {.stack = stack,
                               .shares_memory = (flags & kCloneVm) != 0,
                               .waits = (flags & kCloneVfork) != 0,
                               .tls = tls,
                               .set_tls = (flags & kCloneSetTls) != 0,
                               .parent_tid = address_if(flags & kCloneParentSetTid, parent_tid),
                               .child_tid = address_if(flags & kCloneChildSetTid, child_tid),
                               .clear_child_tid = address_if(flags & kCloneChildClearTid, child_tid)});
}

// What waitid says of a child; all zero when there is none yet.
siginfo to_siginfo(const task::ReapedChild& child) {
    return task::to_siginfo(task::signal::kChild, task::info_of_child(child.pid, child.wait_status));
}

// A group 0 is the caller's.
task::ChildQuery query_of(Caller& caller, std::int32_t which, std::int32_t id, std::uint32_t options) {
    using Whose = task::ChildQuery::Whose;
    const TaskId wanted = which == kWaitForAny                ? TaskId{}
                          : which == kWaitForGroup && id == 0 ? task::group_of(caller.process)
                                                              : TaskId{static_cast<std::uint32_t>(id)};
    return {.whose = which == kWaitForAny   ? Whose::Any
                     : which == kWaitForPid ? Whose::Pid
                                            : Whose::Group,
            .id = wanted,
            .ended = (options & kWaitExited) != 0,
            .stopped = (options & kWaitStopped) != 0,
            .continued = (options & kWaitContinued) != 0,
            .keeps = (options & kWaitKeep) != 0};
}

// Whose group or session is asked for; one that was waited for meanwhile has none.
Result<Ref<task::Process>> find_member(Caller& caller, std::int32_t pid) {
    Ref<task::Process> found;
    if (pid < 0) {
        return Error::NoProcess;
    }
    found = TRY(find_target_process(caller, pid, nexus_abi::kRightSchedInspect));
    if (task::group_of(*found) == TaskId{}) {
        return Error::NoProcess;
    }
    return found;
}

}  // namespace

SysResult sys_exit(Caller& caller, std::int32_t status) {
    task::exit_thread(caller.task, status);
    return SysResult::no_result();
}

SysResult sys_exit_group(Caller& caller, std::int32_t status) {
    task::exit_process(caller.process, task::status_exited(status));
    return SysResult::no_result();
}

SysResult sys_clone(Caller& caller, std::uint64_t flags, std::uint64_t stack, Out<std::int32_t> parent_tid,
                    std::uint64_t tls, Out<std::int32_t> child_tid) {
    // As Linux: sharing handlers needs sharing memory, being a thread needs sharing handlers.
    if (((flags & kCloneThread) != 0 && (flags & kCloneSigHand) == 0) ||
        ((flags & kCloneSigHand) != 0 && (flags & kCloneVm) == 0)) {
        return Error::InvalidArgument;
    }
    if ((flags & kCloneThread) == 0) {
        return clone_process(caller, flags, stack, parent_tid, tls, child_tid);
    }
    if ((flags & kThreadFlags) != kThreadFlags) {
        return Error::InvalidArgument;
    }
    if ((flags & ~(kThreadFlags | kOptionalFlags)) != 0 || (flags & kCloneExitSignal) != 0 || stack == 0) {
        return Error::InvalidArgument;
    }
    const auto created = task::create_thread(
        caller.task, {.stack = stack,
                      .tls = tls,
                      .set_tls = (flags & kCloneSetTls) != 0,
                      .parent_tid = address_if(flags & kCloneParentSetTid, parent_tid),
                      .child_tid = address_if(flags & kCloneChildSetTid, child_tid),
                      .clear_child_tid = address_if(flags & kCloneChildClearTid, child_tid)});
    return created.ok() ? SysResult{std::uint64_t{created->value()}} : SysResult{created.error()};
}

SysResult sys_set_tid_address(Caller& caller, Out<std::int32_t> clear_child_tid) {
    caller.task.clear_child_tid = mm::user_address(clear_child_tid).value();
    return std::uint64_t{caller.task.tid().value()};
}

SysResult sys_wait4(Caller& caller, std::int32_t pid, Out<std::int32_t> status, std::uint32_t options,
                    Out<rusage> usage) {
    if ((options & ~(kWaitNoHang | kWaitStopped | kWaitContinued | kWaitIgnored)) != 0) {
        return Error::InvalidArgument;
    }
    if (pid == std::numeric_limits<std::int32_t>::min()) {
        return Error::NoProcess;  // there is no such group
    }
    const bool may_block = (options & kWaitNoHang) == 0;
    const std::int32_t which = pid == -1 ? kWaitForAny : pid > 0 ? kWaitForPid : kWaitForGroup;
    task::ReapedChild child;
    switch (task::reap_child(caller.process,
                             query_of(caller, which, pid < 0 ? -pid : pid, options | kWaitExited),
                             may_block ? &caller.task : nullptr, child)) {
        case task::ReapOutcome::NoChild:
            return Error::NoChild;
        case task::ReapOutcome::NoneYet:
            return may_block ? SysResult::blocked() : SysResult{std::uint64_t{0}};
        case task::ReapOutcome::Reaped:
            break;
    }
    if (!status.is_null()) {
        if (const auto copied = mm::copy_out(caller.space(), status, child.wait_status); !copied.ok()) {
            return copied.error();
        }
    }
    if (!usage.is_null()) {
        if (const auto copied = mm::copy_out(caller.space(), usage, to_rusage(child.usage)); !copied.ok()) {
            return copied.error();
        }
    }
    return std::uint64_t{child.pid.value()};
}

SysResult sys_waitid(Caller& caller, std::int32_t which, std::int32_t id, Out<siginfo> info,
                     std::uint32_t options, Out<rusage> usage) {
    constexpr std::uint32_t kNews = kWaitExited | kWaitStopped | kWaitContinued;
    if ((options & ~(kNews | kWaitNoHang | kWaitKeep | kWaitIgnored)) != 0 || (options & kNews) == 0 ||
        which < kWaitForAny || which > kWaitForGroup || (which == kWaitForPid && id <= 0) ||
        (which == kWaitForGroup && id < 0)) {
        return Error::InvalidArgument;
    }
    const bool may_block = (options & kWaitNoHang) == 0;
    task::ReapedChild child;
    const task::ReapOutcome outcome = task::reap_child(caller.process, query_of(caller, which, id, options),
                                                       may_block ? &caller.task : nullptr, child);
    if (outcome == task::ReapOutcome::NoChild) {
        return Error::NoChild;
    }
    if (outcome == task::ReapOutcome::NoneYet && may_block) {
        return SysResult::blocked();
    }
    if (!info.is_null()) {
        const bool is_reaped = outcome == task::ReapOutcome::Reaped;
        if (const auto copied = mm::copy_out(caller.space(), info, is_reaped ? to_siginfo(child) : siginfo{});
            !copied.ok()) {
            return copied.error();
        }
    }
    return usage.is_null() ? SysResult{std::uint64_t{0}}
                           : SysResult{mm::copy_out(caller.space(), usage, to_rusage(child.usage))};
}

SysResult sys_getpid(Caller& caller) {
    return std::uint64_t{caller.process.pid().value()};
}
SysResult sys_getppid(Caller& caller) {
    return caller.process.parent_pid.load(std::memory_order_relaxed);
}
SysResult sys_setpgid(Caller& caller, std::int32_t pid, std::int32_t group) {
    if (group < 0) {
        return Error::InvalidArgument;
    }
    const TaskId wanted = pid == 0 ? caller.process.pid() : TaskId{static_cast<std::uint32_t>(pid)};
    const Ref<task::Process> target = task::find_process(wanted);
    if (!target) {
        return Error::NoProcess;
    }
    return task::change_group(caller.process, *target,
                              group == 0 ? wanted : TaskId{static_cast<std::uint32_t>(group)});
}
SysResult sys_getpgid(Caller& caller, std::int32_t pid) {
    const auto target = find_member(caller, pid);
    return target.ok() ? SysResult{std::uint64_t{task::group_of(**target).value()}}
                       : SysResult{target.error()};
}
SysResult sys_getsid(Caller& caller, std::int32_t pid) {
    const auto target = find_member(caller, pid);
    return target.ok() ? SysResult{std::uint64_t{task::session_of(**target).value()}}
                       : SysResult{target.error()};
}
SysResult sys_setsid(Caller& caller) {
    const auto session = task::begin_session(caller.process);
    return session.ok() ? SysResult{std::uint64_t{session->value()}} : SysResult{session.error()};
}
SysResult sys_gettid(Caller& caller) {
    return std::uint64_t{caller.task.tid().value()};
}
SysResult sys_prctl(Caller& caller, std::uint32_t option, std::uint64_t a, std::uint64_t, std::uint64_t,
                    std::uint64_t) {
    if (option == kPrctlSetName) {
        task::Task::Name name{};
        const auto length = mm::copy_in_string(caller.space(), name, In<char>{a});
        if (!length.ok() && length.error() != Error::NameTooLong) {
            return length.error();
        }
        // A longer name is cut, as Linux does.
        caller.task.set_name({name.data(), length.value_or(name.size() - 1)});
        return std::uint64_t{0};
    }
    if (option == kPrctlGetName) {
        const task::Task::Name name = caller.task.name();
        return mm::copy_out_array(caller.space(), Out<char>{a}, std::span<const char>{name});
    }
    return Error::InvalidArgument;
}

SysResult sys_prlimit64(Caller& caller, std::int32_t pid, std::uint32_t resource, In<rlimit64> limit,
                        Out<rlimit64> old) {
    if (resource >= ResourceLimits::kCount) {
        return Error::InvalidArgument;
    }
    const std::uint64_t right = limit.is_null() ? nexus_abi::kRightSchedInspect : nexus_abi::kRightSchedAdmin;
    const auto target = find_target_process(caller, pid, right);
    if (!target.ok()) {
        return target.error();
    }
    task::Process& process = **target;
    const ResourceLimits::Limit now = process.limits.get(resource);
    const rlimit64 before{.current = now.current, .maximum = now.maximum};
    if (!limit.is_null()) {
        const auto wanted = mm::copy_in(caller.space(), limit);
        if (!wanted.ok()) {
            return wanted.error();
        }
        if (const auto set = set_limit(process, resource, *wanted); !set.ok()) {
            return set.error();
        }
    }
    return old.is_null() ? SysResult{std::uint64_t{0}} : SysResult{mm::copy_out(caller.space(), old, before)};
}

SysResult sys_getrusage(Caller& caller, std::int32_t who, Out<rusage> usage) {
    switch (who) {
        case kUsageSelf:
            return mm::copy_out(caller.space(), usage, to_rusage(task::process_usage(caller.process)));
        case kUsageThread:
            return mm::copy_out(caller.space(), usage, to_rusage(task::task_usage(caller.task)));
        case kUsageChildren:
            return mm::copy_out(caller.space(), usage, to_rusage(usage_of_children(caller.process)));
        default:
            return Error::InvalidArgument;
    }
}

SysResult sys_times(Caller& caller, Out<tms> buffer) {
    constexpr std::int64_t kNsPerTick = 10'000'000;  // USER_HZ = 100
    const tms times{.user = task::process_usage(caller.process).runtime.ns() / kNsPerTick,
                    .system = 0,
                    .children_user = usage_of_children(caller.process).runtime.ns() / kNsPerTick,
                    .children_system = 0};
    if (!buffer.is_null()) {
        if (const auto copied = mm::copy_out(caller.space(), buffer, times); !copied.ok()) {
            return copied.error();
        }
    }
    return static_cast<std::uint64_t>(arch::now().ns() / kNsPerTick);
}

}  // namespace kernel::syscall
