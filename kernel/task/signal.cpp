// SPDX-License-Identifier: MIT
#include "task/signal.hpp"

#include <bit>

#include "task/lifecycle.hpp"

namespace kernel::task {

namespace {

constexpr std::uint64_t kHandlerIgnore = 1;  // SIG_IGN
constexpr std::uint64_t kUnblockable = signal::bit(signal::kKill) | signal::bit(signal::kStop);

bool is_valid(std::uint32_t number) {
    return number >= 1 && number <= kSignalCount;
}

// Whether the signal, once delivered, ends the process.
bool is_fatal(Process& process, std::uint32_t number) {
    if (number == signal::kKill) {
        return true;
    }
    const LockGuard guard{process.action_lock};
    return process.actions[number - 1].handler != kHandlerIgnore &&
           signal::default_action(number) == signal::DefaultAction::Terminate;
}

bool is_blocked(const Task& task, std::uint32_t number) {
    return number != signal::kKill && (task.signal_mask.load() & signal::bit(number)) != 0;
}

bool all_tasks_block(Process& process, std::uint32_t number) {
    const LockGuard guard{family_lock()};
    for (Task* task = process.threads.front(); task != nullptr; task = process.threads.next(*task)) {
        if (!is_blocked(*task, number)) {
            return false;
        }
    }
    return true;
}

}  // namespace

signal::DefaultAction signal::default_action(std::uint32_t number) {
    switch (number) {
        case kChild:
        case 23:  // SIGURG
        case 28:  // SIGWINCH
            return DefaultAction::Ignore;
        case kContinue:
            return DefaultAction::Continue;
        case kStop:
        case 20:  // SIGTSTP
        case 21:  // SIGTTIN
        case 22:  // SIGTTOU
            return DefaultAction::Stop;
        default:
            return DefaultAction::Terminate;
    }
}

// Pending is set before the masks are looked at, set_signal_mask() stores the mask before it looks at what is
// pending (all sequentially consistent): one of the two sees the other.

void signal_process(Process& process, std::uint32_t number) {
    DCHECK(is_valid(number));
    if (!is_fatal(process, number)) {
        return;
    }
    process.pending_signals.fetch_or(signal::bit(number));
    if (number == signal::kKill || !all_tasks_block(process, number)) {
        exit_process(process, status_signaled(number));
    }
}

void signal_task(Task& task, std::uint32_t number) {
    DCHECK(is_valid(number));
    if (!is_fatal(task.process(), number)) {
        return;
    }
    task.pending_signals.fetch_or(signal::bit(number));
    if (!is_blocked(task, number)) {
        exit_process(task.process(), status_signaled(number));
    }
}

void signal_fault(Task& task, std::uint32_t number) {
    DCHECK(is_valid(number));
    exit_process(task.process(), status_signaled(number));
}

Result<nexus_abi::kernel_sigaction> exchange_signal_action(Process& process, std::uint32_t number,
                                                           const nexus_abi::kernel_sigaction* action) {
    if (!is_valid(number) || (action != nullptr && (signal::bit(number) & kUnblockable) != 0)) {
        return Error::InvalidArgument;
    }
    const LockGuard guard{process.action_lock};
    nexus_abi::kernel_sigaction& stored = process.actions[number - 1];
    const nexus_abi::kernel_sigaction old = stored;
    if (action != nullptr) {
        stored = *action;
        stored.mask &= ~kUnblockable;
        if (action->handler == kHandlerIgnore) {
            process.pending_signals.fetch_and(~signal::bit(number));
        }
    }
    return old;
}

void set_signal_mask(Task& task, std::uint64_t mask) {
    mask &= ~kUnblockable;
    task.signal_mask.store(mask);
    Process& process = task.process();
    std::uint64_t deliverable = (task.pending_signals.load() | process.pending_signals.load()) & ~mask;
    for (; deliverable != 0; deliverable &= deliverable - 1) {
        const auto number = static_cast<std::uint32_t>(std::countr_zero(deliverable)) + 1;
        task.pending_signals.fetch_and(~signal::bit(number));
        process.pending_signals.fetch_and(~signal::bit(number));
        if (is_fatal(process, number)) {
            exit_process(process, status_signaled(number));
            return;
        }
    }
}

}  // namespace kernel::task
