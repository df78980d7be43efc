// SPDX-License-Identifier: MIT
// Sending signals, and storing what programs say about them. What signals do is in task/signal.cpp.
#include "arch/contract.hpp"
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/target.hpp"
#include "syscall/time_values.hpp"
#include "task/lifecycle.hpp"
#include "task/signal.hpp"

namespace kernel::syscall {

namespace {

using nexus_abi::kRightSchedAdmin;

constexpr std::uint64_t kSignalSetBytes = 8;

// include/uapi/asm-generic/signal-defs.h
enum class MaskChange : std::uint32_t { Block = 0, Unblock = 1, Set = 2 };

bool is_signal_or_zero(std::uint32_t signal) {
    return signal <= task::kSignalCount;
}

SysResult signal_thread(Caller& caller, std::int32_t pid, std::int32_t tid, std::uint32_t signal) {
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
    if (signal != 0) {
        task::signal_task(task, signal, caller.process.pid());
    }
    return std::uint64_t{0};
}

SysResult report_signal(task::Task& caller, Out<siginfo> to, std::uint32_t number,
                        const task::SignalInfo& info) {
    if (!to.is_null()) {
        siginfo answer{};
        answer.number = static_cast<std::int32_t>(number);
        answer.code = info.code;
        answer.pid = static_cast<std::int32_t>(info.sender.value());
        answer.status = info.status;
        if (const auto copied = mm::copy_out(caller.process().space(), to, answer); !copied.ok()) {
            return copied.error();  // as on Linux, the signal is lost
        }
    }
    return std::uint64_t{number};
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
    // There are no process groups: 0, the caller's group, is its process; other groups and "everyone" are
    // nobody's to signal.
    if (!is_signal_or_zero(signal)) {
        return Error::InvalidArgument;
    }
    if (pid < 0) {
        return pid == -1 ? Error::NotPermitted : Error::NoProcess;
    }
    const auto target = find_target_process(caller, pid, kRightSchedAdmin);
    if (!target.ok()) {
        return target.error();
    }
    if (signal == task::signal::kContinue) {
        task::release_process(**target, caller.task);
    }
    if (signal != 0) {
        task::signal_process(**target, signal,
                             {.code = task::signal::kFromUser, .sender = caller.process.pid()});
    }
    return std::uint64_t{0};
}

SysResult sys_tkill(Caller& caller, std::int32_t tid, std::uint32_t signal) {
    return signal_thread(caller, 0, tid, signal);
}

SysResult sys_tgkill(Caller& caller, std::int32_t pid, std::int32_t tid, std::uint32_t signal) {
    if (pid <= 0) {
        return Error::InvalidArgument;
    }
    return signal_thread(caller, pid, tid, signal);
}

SysResult sys_rt_sigaction(Caller& caller, std::uint32_t signal, In<kernel_sigaction> action,
                           Out<kernel_sigaction> old, std::uint64_t set_size) {
    if (set_size != kSignalSetBytes) {
        return Error::InvalidArgument;
    }
    kernel_sigaction wanted{};
    if (!action.is_null()) {
        const auto copied = mm::copy_in(caller.space(), action);
        if (!copied.ok()) {
            return copied.error();
        }
        wanted = *copied;
    }
    const auto before =
        task::exchange_signal_action(caller.task, signal, action.is_null() ? nullptr : &wanted);
    if (!before.ok()) {
        return before.error();
    }
    return old.is_null() ? SysResult{std::uint64_t{0}}
                         : SysResult{mm::copy_out(caller.space(), old, *before)};
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
    Instant deadline = Instant::never();
    if (!timeout.is_null()) {
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

}  // namespace kernel::syscall
