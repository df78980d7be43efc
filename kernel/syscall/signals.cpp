// SPDX-License-Identifier: MIT
// Sending signals, and storing what programs say about them. What signals do is in task/signal.cpp.
#include "mm/user_memory.hpp"
#include "syscall/dispatch.hpp"
#include "syscall/target.hpp"
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
        task::signal_task(task, signal);
    }
    return std::uint64_t{0};
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
    if (signal != 0) {
        task::signal_process(**target, signal);
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
        task::exchange_signal_action(caller.process, signal, action.is_null() ? nullptr : &wanted);
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

}  // namespace kernel::syscall
