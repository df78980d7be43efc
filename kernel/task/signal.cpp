// SPDX-License-Identifier: MIT
#include "task/signal.hpp"

#include <bit>

#include "task/lifecycle.hpp"
#include "task/task_table.hpp"

namespace kernel::task {

namespace {

constexpr std::uint64_t kHandlerIgnore = 1;  // SIG_IGN
constexpr std::uint64_t kUnblockable = signal::bit(signal::kKill) | signal::bit(signal::kStop);
static_assert(kMaxTasks <= 1U << 16, "ids and thread counts are kept in 16 bits");

bool is_valid(std::uint32_t number) {
    return number >= 1 && number <= kSignalCount;
}

template <class F>
void for_each_signal(std::uint64_t set, F&& f) {
    for (; set != 0; set &= set - 1) {
        f(static_cast<std::uint32_t>(std::countr_zero(set)) + 1);
    }
}

// All of the following: pre: the lock of process.signals is held.

// Whether the signal, once delivered, ends the process.
bool is_fatal(const Process& process, std::uint32_t number) {
    return number == signal::kKill || (process.signals.actions[number - 1].handler != kHandlerIgnore &&
                                       signal::default_action(number) == signal::DefaultAction::Terminate);
}

bool is_blocked(const Task& task, std::uint32_t number) {
    return number != signal::kKill && (task.signal_mask.load() & signal::bit(number)) != 0;
}

bool all_threads_block(const Process& process, std::uint32_t number) {
    return number != signal::kKill && process.signals.blockers[number - 1] == process.signals.threads;
}

// Gives the signal to a thread that waits for it; false when it does not, or its wait has just ended.
bool hand_over(Process& process, Wait& wait, std::uint32_t number, const SignalInfo& info) {
    Task& task = *wait.task;
    if ((wait.task->waited_signals & signal::bit(number)) == 0 || !is_blocked(task, number) ||
        !claim_wait(wait)) {
        return false;
    }
    process.signals.waiters.remove(wait);
    task.taken_signal = number;
    task.taken_code = info.code;
    task.taken_sender = info.sender;
    task.taken_status = info.status;
    finish_wait(wait, 0);
    return true;
}

// Gives it to the thread that waits for it longest; with `only`, to no other thread. There are at most
// kMaxSignalWaiters.
bool hand_to_waiter(Process& process, const Task* only, std::uint32_t number, const SignalInfo& info) {
    WaitQueue& waiters = process.signals.waiters;
    for (Wait* wait = waiters.front(); wait != nullptr;) {
        Wait* const following = waiters.next(*wait);
        if ((only == nullptr || wait->task == only) && hand_over(process, *wait, number, info)) {
            return true;
        }
        wait = following;
    }
    return false;
}

enum class Outcome : std::uint8_t { Settled, Fatal };

Outcome send_to_process(Process& process, std::uint32_t number, const SignalInfo& info) {
    if (hand_to_waiter(process, nullptr, number, info)) {
        return Outcome::Settled;
    }
    if (all_threads_block(process, number)) {
        if ((process.signals.pending & signal::bit(number)) == 0) {
            process.signals.pending |= signal::bit(number);
            process.signals.infos[number - 1] = info;
        }
        return Outcome::Settled;
    }
    return is_fatal(process, number) ? Outcome::Fatal : Outcome::Settled;
}

// Takes the first pending signal of `set`; 0 when there is none.
std::uint32_t take_pending(Task& task, std::uint64_t set, SignalInfo& info) {
    if (const std::uint64_t own = task.pending_signals & set; own != 0) {
        const auto number = static_cast<std::uint32_t>(std::countr_zero(own)) + 1;
        task.pending_signals &= ~signal::bit(number);
        info = {.code = signal::kFromThread, .sender = TaskId{task.signal_senders[number - 1]}};
        return number;
    }
    ProcessSignals& shared = task.process().signals;
    if (const std::uint64_t all = shared.pending & set; all != 0) {
        const auto number = static_cast<std::uint32_t>(std::countr_zero(all)) + 1;
        shared.pending &= ~signal::bit(number);
        info = shared.infos[number - 1];
        return number;
    }
    return 0;
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

void signal_process(Process& process, std::uint32_t number, const SignalInfo& info) {
    DCHECK(is_valid(number));
    auto outcome = Outcome::Settled;
    {
        const LockGuard guard{process.signals.waiters.lock()};
        outcome = send_to_process(process, number, info);
    }
    if (outcome == Outcome::Fatal) {
        exit_process(process, status_signaled(number));
    }
}

void signal_task(Task& task, std::uint32_t number, TaskId sender) {
    DCHECK(is_valid(number));
    Process& process = task.process();
    bool ends = false;
    {
        const LockGuard guard{process.signals.waiters.lock()};
        if (hand_to_waiter(process, &task, number, {.code = signal::kFromThread, .sender = sender})) {
            return;
        }
        if (is_blocked(task, number)) {
            task.pending_signals |= signal::bit(number);
            task.signal_senders[number - 1] = static_cast<std::uint16_t>(sender.value());
        } else {
            ends = is_fatal(process, number);
        }
    }
    if (ends) {
        exit_process(process, status_signaled(number));
    }
}

void signal_child_ended(Process& parent, TaskId child, std::int32_t wait_status) {
    constexpr std::int32_t kSignalMask = 0x7f;
    const bool was_killed = (wait_status & kSignalMask) != 0;
    const SignalInfo info{.code = was_killed ? signal::kChildKilled : signal::kChildExited,
                          .sender = child,
                          .status = was_killed ? wait_status & kSignalMask : wait_status >> 8};
    const LockGuard guard{parent.signals.waiters.lock()};
    // Never fatal: the default is to ignore it.
    static_cast<void>(send_to_process(parent, signal::kChild, info));
}

void signal_fault(Task& task, std::uint32_t number) {
    DCHECK(is_valid(number));
    exit_process(task.process(), status_signaled(number));
}

Result<nexus_abi::kernel_sigaction> exchange_signal_action(Task& caller, std::uint32_t number,
                                                           const nexus_abi::kernel_sigaction* action) {
    if (!is_valid(number) || (action != nullptr && (signal::bit(number) & kUnblockable) != 0)) {
        return Error::InvalidArgument;
    }
    ProcessSignals& signals = caller.process().signals;
    const LockGuard guard{signals.waiters.lock()};
    nexus_abi::kernel_sigaction& stored = signals.actions[number - 1];
    const nexus_abi::kernel_sigaction old = stored;
    if (action != nullptr) {
        stored = *action;
        stored.mask &= ~kUnblockable;
        if (action->handler == kHandlerIgnore) {
            signals.pending &= ~signal::bit(number);
            caller.pending_signals &= ~signal::bit(number);
        }
    }
    return old;
}

void set_signal_mask(Task& task, std::uint64_t mask) {
    mask &= ~kUnblockable;
    Process& process = task.process();
    std::uint32_t fatal = 0;
    {
        const LockGuard guard{process.signals.waiters.lock()};
        const std::uint64_t before = task.signal_mask.load(std::memory_order_relaxed);
        auto& blockers = process.signals.blockers;
        for_each_signal(mask & ~before, [&](std::uint32_t number) { ++blockers[number - 1]; });
        for_each_signal(before & ~mask, [&](std::uint32_t number) { --blockers[number - 1]; });
        task.signal_mask.store(mask);
        SignalInfo info;
        while (fatal == 0) {
            const std::uint32_t number = take_pending(task, ~mask, info);
            if (number == 0) {
                break;
            }
            fatal = is_fatal(process, number) ? number : 0;
        }
    }
    if (fatal != 0) {
        exit_process(process, status_signaled(fatal));
    }
}

SysResult wait_for_signal(Task& caller, std::uint64_t set, Instant now, Instant deadline,
                          void (*resume)(Task&), SignalInfo& info) {
    set &= ~kUnblockable;
    WaitQueue& waiters = caller.process().signals.waiters;
    const LockGuard guard{waiters.lock()};
    if (const std::uint32_t number = take_pending(caller, set, info); number != 0) {
        return std::uint64_t{number};
    }
    if (deadline <= now) {
        return Error::TryAgain;
    }
    std::uint32_t waiting = 0;
    for (Wait* wait = waiters.front(); wait != nullptr; wait = waiters.next(*wait)) {
        ++waiting;
    }
    if (waiting >= kMaxSignalWaiters) {
        return Error::NoMemory;
    }
    caller.taken_signal = 0;
    caller.waited_signals = set;
    begin_wait(caller, &waiters, {.deadline = deadline, .resume = resume});
    return SysResult::blocked();
}

std::uint32_t taken_signal(Task& task, SignalInfo& info) {
    info = {.code = task.taken_code, .sender = task.taken_sender, .status = task.taken_status};
    return task.taken_signal;
}

void add_signal_thread(Process& process, const Task& task) {
    const LockGuard guard{process.signals.waiters.lock()};
    ++process.signals.threads;
    for_each_signal(task.signal_mask.load(std::memory_order_relaxed),
                    [&](std::uint32_t number) { ++process.signals.blockers[number - 1]; });
}

void remove_signal_thread(Process& process, const Task& task) {
    const LockGuard guard{process.signals.waiters.lock()};
    --process.signals.threads;
    for_each_signal(task.signal_mask.load(std::memory_order_relaxed),
                    [&](std::uint32_t number) { --process.signals.blockers[number - 1]; });
}

}  // namespace kernel::task
