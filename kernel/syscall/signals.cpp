// SPDX-License-Identifier: MIT
// The calls about signals. What signals do is in task/signal.cpp and task/signal_delivery.cpp.
#include <array>

#include "arch/contract.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/target.hpp"
#include "syscall/time.hpp"
#include "syscall/time_values.hpp"
#include "task/lifecycle.hpp"
#include "task/process_group.hpp"
#include "task/signal.hpp"
#include "task/signal_delivery.hpp"
#include "task/task_table.hpp"

namespace kernel::syscall {

namespace {

using nexus_abi::kRightSchedAdmin;

constexpr std::uint64_t kSignalSetBytes = 8;

// include/uapi/asm-generic/signal-defs.h
enum class MaskChange : std::uint32_t { Block = 0, Unblock = 1, Set = 2 };

bool is_signal_or_zero(std::uint32_t signal) {
    return signal <= task::kSignalCount;
}

SysResult signal_thread(Caller& caller, std::int32_t pid, std::int32_t tid, std::uint32_t signal,
                        const task::SignalInfo& info) {
    if (tid <= 0 || !is_signal_or_zero(signal)) {
        return Error::InvalidArgument;
    }
    const auto target = find_target(caller, tid, kRightSchedAdmin);
    if (!target.ok()) {
        return target.error();
    }
    task::Task& task = **target;
    if (pid != 0 && task.process().pid() != TaskId{static_cast<std::uint32_t>(pid)}) {
        return Error::NoProcess;
    }
    return signal == 0 ? Result<void>{} : task::signal_task(task, signal, info);
}

task::SignalInfo from_thread_of(const Caller& caller) {
    return task::SignalInfo::sent(task::signal::kFromThread, caller.process.pid());
}

// What a program sends along. Only the kernel may say that it, or kill, was the sender.
Result<task::SignalInfo> copy_in_info(Caller& caller, std::int32_t pid, In<siginfo> from) {
    const siginfo info = TRY(mm::copy_in(caller.space(), from));
    const bool is_own = pid >= 0 && TaskId{static_cast<std::uint32_t>(pid)} == caller.process.pid();
    if (!is_own && (info.code >= 0 || info.code == task::signal::kFromThread)) {
        return Error::NotPermitted;
    }
    return task::from_siginfo(info);
}

SysResult report_signal(task::Task& caller, Out<siginfo> to, std::uint32_t number,
                        const task::SignalInfo& info) {
    if (!to.is_null()) {
        const siginfo answer = task::to_siginfo(number, info);
        if (const auto copied = mm::copy_out(caller.process().space(), to, answer); !copied.ok()) {
            return copied.error();  // as on Linux, the signal is lost
        }
    }
    return std::uint64_t{number};
}

void kill_process(Caller& caller, task::Process& process, std::uint32_t signal) {
    if (signal == task::signal::kContinue) {
        task::release_process(process, caller.task);
    }
    if (signal != 0) {
        // A signal that is pending without its details is one sent all the same.
        static_cast<void>(task::signal_process(
            process, signal, task::SignalInfo::sent(task::signal::kFromUser, caller.process.pid())));
    }
}

// How far a call that signals many has come: the last pid, and what it met so far.
struct KillProgress {
    static constexpr std::uint64_t kMet = 1;
    static constexpr std::uint64_t kSignalled = 2;
    static constexpr std::uint64_t kSelf = 4;
    static constexpr std::uint32_t kPidShift = 3;

    explicit KillProgress(Caller& caller)
        : last{static_cast<std::uint32_t>(caller.task.call_progress >> kPidShift)},
          flags{caller.task.call_progress & (kMet | kSignalled | kSelf)} {}
    // The caller's own process comes last: the signal may end it.
    void visit(Caller& caller, task::Process& process, std::uint32_t signal) {
        last = process.pid();
        flags |= kMet;
        if (&process == &caller.process) {
            flags |= kSelf;
        } else if (may_reach(caller, process, kRightSchedAdmin)) {
            flags |= kSignalled;
            kill_process(caller, process, signal);
        }
    }
    SysResult go_on(Caller& caller) const {
        caller.task.call_progress = std::uint64_t{last.value()} << kPidShift | flags;
        return SysResult::again();
    }
    [[nodiscard]] SysResult finish(Caller& caller, std::uint32_t signal) {
        if ((flags & kSelf) != 0) {
            flags |= kSignalled;
            kill_process(caller, caller.process, signal);
        }
        return (flags & kSignalled) != 0
                   ? SysResult{std::uint64_t{0}}
                   : SysResult{(flags & kMet) != 0 ? Error::NotPermitted : Error::NoProcess};
    }

    TaskId last;
    std::uint64_t flags;
};

// In pieces.
SysResult kill_group(Caller& caller, TaskId group, std::uint32_t signal) {
    KillProgress progress{caller};
    std::array<Ref<task::Process>, task::kGroupBatch> members;
    const std::uint32_t count = task::members_after(group, progress.last, members);
    for (std::uint32_t i = 0; i < count; ++i) {
        progress.visit(caller, *members[i], signal);
    }
    return count == members.size() ? progress.go_on(caller) : progress.finish(caller, signal);
}

SysResult kill_everybody(Caller& caller, std::uint32_t signal) {
    KillProgress progress{caller};
    for (std::uint32_t i = 0; i < task::kGroupBatch; ++i) {
        const Ref<task::Task> found = task::lookup_next_task(progress.last);
        if (!found) {
            return progress.finish(caller, signal);
        }
        task::Process& process = found->process();
        const bool is_named = process.pid() == found->tid();  // a process's other threads are passed over
        if (is_named && !process.is_init && &process != &caller.process) {
            progress.visit(caller, process, signal);
        }
        progress.last = found->tid();
    }
    return progress.go_on(caller);
}

// The end of an rt_sigtimedwait that waited.
void end_signal_wait(task::Task& caller) {
    task::SignalInfo info;
    const std::uint32_t number = task::taken_signal(caller, info);
    const SysResult result =
        number == 0 ? SysResult{Error::TryAgain}
                    : report_signal(caller, Out<siginfo>{caller.frame.argument(1)}, number, info);
    caller.frame.set_result(result.value());
}

}  // namespace

SysResult sys_kill(Caller& caller, std::int32_t pid, std::uint32_t signal) {
    if (!is_signal_or_zero(signal)) {
        return Error::InvalidArgument;
    }
    if (pid <= 0) {
        return pid == -1 ? kill_everybody(caller, signal)
                         : kill_group(caller,
                                      pid == 0 ? task::group_of(caller.process)
                                               : TaskId{static_cast<std::uint32_t>(-std::int64_t{pid})},
                                      signal);
    }
    const auto target = find_target_process(caller, pid, kRightSchedAdmin);
    if (!target.ok()) {
        return target.error();
    }
    kill_process(caller, **target, signal);
    return std::uint64_t{0};
}

SysResult sys_rt_sigqueueinfo(Caller& caller, std::int32_t pid, std::uint32_t signal, In<siginfo> info) {
    const auto details = copy_in_info(caller, pid, info);
    if (!details.ok()) {
        return details.error();
    }
    if (!is_signal_or_zero(signal)) {
        return Error::InvalidArgument;
    }
    const auto target = find_target_process(caller, pid, kRightSchedAdmin);
    if (!target.ok()) {
        return target.error();
    }
    return signal == 0 ? Result<void>{} : task::signal_process(**target, signal, *details);
}

SysResult sys_rt_tgsigqueueinfo(Caller& caller, std::int32_t pid, std::int32_t tid, std::uint32_t signal,
                                In<siginfo> info) {
    const auto details = copy_in_info(caller, pid, info);
    if (!details.ok()) {
        return details.error();
    }
    if (pid <= 0) {
        return Error::InvalidArgument;
    }
    return signal_thread(caller, pid, tid, signal, *details);
}

SysResult sys_tkill(Caller& caller, std::int32_t tid, std::uint32_t signal) {
    return signal_thread(caller, 0, tid, signal, from_thread_of(caller));
}

SysResult sys_tgkill(Caller& caller, std::int32_t pid, std::int32_t tid, std::uint32_t signal) {
    if (pid <= 0) {
        return Error::InvalidArgument;
    }
    return signal_thread(caller, pid, tid, signal, from_thread_of(caller));
}

namespace {

// Any call: Linux' order of errors.
SysResult exchange_action(Caller& caller, std::uint32_t signal, In<kernel_sigaction> action,
                          Out<kernel_sigaction> old) {
    kernel_sigaction wanted{};
    if (!action.is_null()) {
        const auto copied = mm::copy_in(caller.space(), action);
        if (!copied.ok()) {
            return copied.error();
        }
        wanted = *copied;
    }
    kernel_sigaction before{};
    const Result<void> exchanged =
        task::exchange_signal_action(caller.task, signal, action.is_null() ? nullptr : &wanted, before);
    if (!exchanged.ok()) {
        return exchanged.error();
    }
    return old.is_null() ? SysResult{std::uint64_t{0}} : SysResult{mm::copy_out(caller.space(), old, before)};
}

}  // namespace

SysResult sys_rt_sigaction(Caller& caller, std::uint32_t signal, In<kernel_sigaction> action,
                           Out<kernel_sigaction> old, std::uint64_t set_size) {
    if (set_size != kSignalSetBytes) {
        return Error::InvalidArgument;
    }
    return exchange_action(caller, signal, action, old);
}

SysResult sys_rt_sigprocmask(Caller& caller, std::uint32_t how, In<std::uint64_t> set, Out<std::uint64_t> old,
                             std::uint64_t set_size) {
    if (set_size != kSignalSetBytes) {
        return Error::InvalidArgument;
    }
    const std::uint64_t before = caller.task.signal_mask.load();
    if (!set.is_null()) {
        const auto bits = mm::copy_in(caller.space(), set);
        if (!bits.ok()) {
            return bits.error();
        }
        switch (static_cast<MaskChange>(how)) {
            case MaskChange::Block:
                task::set_signal_mask(caller.task, before | *bits);
                break;
            case MaskChange::Unblock:
                task::set_signal_mask(caller.task, before & ~*bits);
                break;
            case MaskChange::Set:
                task::set_signal_mask(caller.task, *bits);
                break;
            default:
                return Error::InvalidArgument;
        }
    }
    return old.is_null() ? SysResult{std::uint64_t{0}} : SysResult{mm::copy_out(caller.space(), old, before)};
}

SysResult sys_rt_sigtimedwait(Caller& caller, In<std::uint64_t> set, Out<siginfo> info, In<timespec> timeout,
                              std::uint64_t set_size) {
    if (set_size != kSignalSetBytes) {
        return Error::InvalidArgument;
    }
    const auto wanted = mm::copy_in(caller.space(), set);
    if (!wanted.ok()) {
        return wanted.error();
    }
    const Instant now = arch::now();
    const Instant kept = deadline_kept(caller);
    caller.task.call_progress = 0;
    Instant deadline = kept;
    if (kept.is_never() && !timeout.is_null()) {
        const auto time = mm::copy_in(caller.space(), timeout);
        if (!time.ok()) {
            return time.error();
        }
        const auto length = from_timespec(*time);
        if (!length.ok()) {
            return length.error();
        }
        deadline = now.plus_saturating(*length);
    }
    task::SignalInfo taken;
    const SysResult outcome =
        task::wait_for_signal(caller.task, *wanted, now, deadline, &end_signal_wait, taken);
    return outcome.has_value() && outcome.value() > 0
               ? report_signal(caller.task, info, static_cast<std::uint32_t>(outcome.value()), taken)
               : outcome;
}

SysResult sys_rt_sigpending(Caller& caller, Out<std::uint64_t> set, std::uint64_t set_size) {
    if (set_size > kSignalSetBytes) {
        return Error::InvalidArgument;
    }
    const std::uint64_t pending = task::pending_signals(caller.task);
    return mm::copy_out_array(caller.space(), Out<std::byte>{mm::user_address(set).value()},
                              std::as_bytes(std::span{&pending, 1}).first(set_size));
}

SysResult sys_rt_sigsuspend(Caller& caller, In<std::uint64_t> mask, std::uint64_t set_size) {
    if (set_size != kSignalSetBytes) {
        return Error::InvalidArgument;
    }
    const auto wanted = mm::copy_in(caller.space(), mask);
    if (!wanted.ok()) {
        return wanted.error();
    }
    task::set_temporary_mask(caller.task, *wanted);
    task::begin_wait(caller.task, nullptr, {.on_signal = task::OnSignal::Fails});
    return SysResult::blocked();
}

SysResult sys_sigaltstack(Caller& caller, In<signal_stack> stack, Out<signal_stack> old) {
    const signal_stack before = task::read_alternate_stack(caller.task);
    if (!stack.is_null()) {
        const auto wanted = mm::copy_in(caller.space(), stack);
        if (!wanted.ok()) {
            return wanted.error();
        }
        if (const auto set = task::set_alternate_stack(caller.task, *wanted); !set.ok()) {
            return set.error();
        }
    }
    return old.is_null() ? SysResult{std::uint64_t{0}} : SysResult{mm::copy_out(caller.space(), old, before)};
}

SysResult sys_rt_sigreturn(Caller& caller) {
    return task::return_from_handler(caller.task);
}

}  // namespace kernel::syscall
