// SPDX-License-Identifier: MIT
#include "task/signal.hpp"

#include <bit>
#include <utility>

#include "arch/contract.hpp"
#include "task/dispatcher.hpp"
#include "task/lifecycle.hpp"
#include "task/task_table.hpp"

namespace kernel::task {

namespace {

constexpr std::uint64_t kUnblockable = signal::bit(signal::kKill) | signal::bit(signal::kStop);
// Faults come before what others sent, so that their handler sees the registers as they were.
constexpr std::uint64_t kFaults = signal::bit(signal::kSegmentation) | signal::bit(signal::kBus) |
                                  signal::bit(signal::kIllegal) | signal::bit(signal::kTrap) |
                                  signal::bit(signal::kFloatingPoint) | signal::bit(signal::kBadCall);
// How many threads that block something are looked at for one that does not block a signal. Beyond, the
// signal stays pending until one of the process's threads looks.
constexpr std::uint32_t kMaxThreadsLookedAt = 64;
static_assert(kMaxTasks - 1 <= SetCounts::kMax, "task 0 is never handed out");
static_assert(signal::bit(1) == 1 && kSignalCount == 64, "a mask is a set, signal n its bit n - 1");

// All of the following: pre: the lock of process.signals is held.

enum class Reaction : std::uint8_t { Drop, End, Handle, Stop };

Reaction reaction_to(const Process& process, std::uint32_t number) {
    if (number == signal::kKill) {
        return Reaction::End;
    }
    const std::uint64_t handler = process.signals.actions.get(number).handler;
    if (handler == signal::kDefaultHandler) {
        const signal::DefaultAction action = signal::default_action(number);
        if (action == signal::DefaultAction::Stop && !process.is_init) {
            return Reaction::Stop;
        }
        return action == signal::DefaultAction::Terminate ? Reaction::End : Reaction::Drop;
    }
    return handler == signal::kIgnoreHandler ? Reaction::Drop : Reaction::Handle;
}

bool is_blocked(const Task& task, std::uint32_t number) {
    return number != signal::kKill && (task.signal_mask.load() & signal::bit(number)) != 0;
}

bool all_threads_block(const Process& process, std::uint32_t number) {
    return number != signal::kKill && process.signals.blockers.count(number - 1) == process.signals.threads;
}

// A thread that can take the signal now, or null.
Task* choose_thread(Process& process, std::uint32_t number) {
    if (Task* const task = process.signals.open.front(); task != nullptr) {
        return task;
    }
    Task* task = process.signals.masked.front();
    for (std::uint32_t i = 0; task != nullptr && i < kMaxThreadsLookedAt; ++i) {
        if (!is_blocked(*task, number)) {
            return task;
        }
        task = process.signals.masked.next(*task);
    }
    return nullptr;
}

void list_thread(Process& process, Task& task) {
    const bool is_open = (task.signal_mask.load(std::memory_order_relaxed) & ~kUnblockable) == 0;
    if (task.tid() == process.pid()) {
        (is_open ? process.signals.open.push_front(task) : process.signals.masked.push_front(task));
    } else {
        (is_open ? process.signals.open.push_back(task) : process.signals.masked.push_back(task));
    }
}

void unlist_thread(Process& process, Task& task) {
    const bool is_open = (task.signal_mask.load(std::memory_order_relaxed) & ~kUnblockable) == 0;
    (is_open ? process.signals.open.remove(task) : process.signals.masked.remove(task));
}

// timer_getoverrun() answers what the timer's signal said that was accepted last.
void note_overruns(Process& process, const SignalInfo& info) {
    if (info.code == signal::kFromTimer) {
        process.signals.overruns[info.first % kMaxTimers] = static_cast<std::uint32_t>(info.first >> 32);
    }
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
    task.taken_info = info;
    note_overruns(process, info);
    finish_wait(wait, 0);
    return true;
}

// Gives it to the thread that waits for it longest; with `only`, to no other thread. There are at most
// kMaxSignalWaiters.
bool hand_to_waiter(Process& process, const Task* only, std::uint32_t number, const SignalInfo& info) {
    WaitQueue& waiters = process.signals.waiters;
    for (Wait* wait = waiters.first_of(kSignalWaits, 0); wait != nullptr;) {
        Wait* const following = waiters.first_of(kSignalWaits, 0, wait->sequence);
        if ((only == nullptr || wait->task == only) && hand_over(process, *wait, number, info)) {
            return true;
        }
        wait = following;
    }
    return false;
}

// What is left to do about a signal once the lock is dropped.
struct Sent {
    bool ends{false};
    bool continues{false};
    Ref<Task> taker;
    Result<void> kept;
};

Sent send_locked(Process& process, Task* only, std::uint32_t number, const SignalInfo& info) {
    Sent sent;
    sent.continues = settle_stop_signals(process, only, number);
    if (hand_to_waiter(process, only, number, info)) {
        return sent;
    }
    PendingSignals& pending = only != nullptr ? only->pending_signals : process.signals.pending;
    if (only != nullptr ? is_blocked(*only, number) : all_threads_block(process, number)) {
        sent.kept = pending.add(number, info);
        return sent;
    }
    switch (reaction_to(process, number)) {
        case Reaction::Drop:
            break;
        case Reaction::End:
            if (process.signals.stop_signal == 0 || number == signal::kKill) {
                sent.ends = true;
                break;
            }
            [[fallthrough]];  // a stopped process is ended once it goes on
        case Reaction::Stop:
        case Reaction::Handle:
            sent.kept = pending.add(number, info);
            if (Task* const task = only != nullptr ? only : choose_thread(process, number); task != nullptr) {
                sent.taker = Ref<Task>::share(*task);
            }
            break;
    }
    return sent;
}

// Takes the first pending signal of `set`, faults first; 0 when there is none.
std::uint32_t take_pending(Task& task, std::uint64_t set, SignalInfo& info) {
    const std::uint64_t own = task.pending_signals.set() & set;
    const std::uint64_t shared = task.process().signals.pending.set() & set;
    const std::uint64_t first = (own & kFaults) != 0 ? own & kFaults : own != 0 ? own : shared;
    if (first == 0) {
        return 0;
    }
    const auto number = static_cast<std::uint32_t>(std::countr_zero(first)) + 1;
    info = (own != 0 ? task.pending_signals : task.process().signals.pending).take(number);
    note_overruns(task.process(), info);
    return number;
}

void note_deliverable(Task& task, std::uint64_t mask) {
    const std::uint64_t pending = task.pending_signals.set() | task.process().signals.pending.set();
    if ((pending & ~mask) != 0) {
        task.exit_work.fetch_or(Task::kSignalWork);
    }
}

// No lock of a rank above Process is held.

Result<void> finish_sending(Process& process, std::uint32_t number, const Sent& sent) {
    if (sent.continues) {
        const LockGuard guard{family_lock()};
        if (!is_stopped(process)) {
            note_child_change(process, ChildChange::Continued, 0);
        }
    }
    if (sent.ends) {
        exit_process(process, status_signaled(number));
    } else if (sent.taker) {
        notify(*sent.taker);
    }
    return sent.kept;
}

// Offers what is pending for the process to threads that can take it.
void offer_pending(Process& process) {
    for (std::uint32_t number = 1; number <= kSignalCount; ++number) {
        Ref<Task> taker;
        {
            const LockGuard guard{process.signals.waiters.lock()};
            const std::uint64_t left = process.signals.pending.set() & ~(signal::bit(number) - 1);
            if (left == 0) {
                return;
            }
            number = static_cast<std::uint32_t>(std::countr_zero(left)) + 1;
            if (!all_threads_block(process, number)) {
                if (Task* const task = choose_thread(process, number); task != nullptr) {
                    taker = Ref<Task>::share(*task);
                }
            }
        }
        if (taker) {
            notify(*taker);
        }
    }
}

}  // namespace

void notify(Task& task) {
    task.exit_work.fetch_or(Task::kSignalWork);
    interrupt_wait_by_signal(task);
    if (task.home() != arch::current_cpu()) {
        interrupt_hart(task.home());
    } else {
        request_reschedule();
    }
}

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

Result<void> signal_process(Process& process, std::uint32_t number, const SignalInfo& info) {
    DCHECK(signal::is_valid(number));
    Sent sent;
    {
        const LockGuard guard{process.signals.waiters.lock()};
        sent = send_locked(process, nullptr, number, info);
    }
    return finish_sending(process, number, sent);
}

Result<void> signal_task(Task& task, std::uint32_t number, const SignalInfo& info) {
    DCHECK(signal::is_valid(number));
    Process& process = task.process();
    Sent sent;
    {
        const LockGuard guard{process.signals.waiters.lock()};
        sent = send_locked(process, &task, number, info);
    }
    return finish_sending(process, number, sent);
}

SignalInfo info_of_child(TaskId child, std::int32_t wait_status) {
    constexpr std::int32_t kSignalMask = 0x7f;
    const std::int32_t signal = wait_status & kSignalMask;
    if (wait_status == kStatusContinued) {
        return SignalInfo::of_child(signal::kChildContinued, child, signal::kContinue);
    }
    if (signal == kSignalMask) {
        return SignalInfo::of_child(signal::kChildStopped, child, wait_status >> 8);
    }
    return signal != 0 ? SignalInfo::of_child(signal::kChildKilled, child, signal)
                       : SignalInfo::of_child(signal::kChildExited, child, wait_status >> 8);
}

void signal_child_changed(Process& parent, TaskId child, std::int32_t wait_status) {
    const SignalInfo info = info_of_child(child, wait_status);
    const bool has_ended = info.code == signal::kChildExited || info.code == signal::kChildKilled;
    Sent sent;
    {
        const LockGuard guard{parent.signals.waiters.lock()};
        if (!has_ended && (parent.signals.actions.get(signal::kChild).flags & signal::kNoChildStop) != 0) {
            return;
        }
        sent = send_locked(parent, nullptr, signal::kChild, info);
    }
    // Never fatal: the default is to ignore it.
    if (sent.taker) {
        notify(*sent.taker);
    }
}

bool forgets_children(Process& process) {
    const LockGuard guard{process.signals.waiters.lock()};
    const nexus_abi::kernel_sigaction action = process.signals.actions.get(signal::kChild);
    return action.handler == signal::kIgnoreHandler || (action.flags & signal::kNoChildWait) != 0;
}

bool catches_signal(Process& process, std::uint32_t number) {
    const LockGuard guard{process.signals.waiters.lock()};
    return reaction_to(process, number) == Reaction::Handle;
}

bool ignores_or_blocks(Task& task, std::uint32_t number) {
    Process& process = task.process();
    const LockGuard guard{process.signals.waiters.lock()};
    return is_blocked(task, number) || reaction_to(process, number) == Reaction::Drop;
}

bool signal_fault(Task& task, std::uint32_t number, const SignalInfo& info) {
    DCHECK(signal::is_valid(number));
    Process& process = task.process();
    const LockGuard guard{process.signals.waiters.lock()};
    if (is_blocked(task, number) || reaction_to(process, number) != Reaction::Handle) {
        return false;
    }
    static_cast<void>(task.pending_signals.add(number, info));
    task.exit_work.fetch_or(Task::kSignalWork);
    return true;
}

void end_by_fault(Task& task, std::uint32_t number) {
    exit_process(task.process(), status_signaled(number));
}

Result<void> exchange_signal_action(Task& caller, std::uint32_t number,
                                    const nexus_abi::kernel_sigaction* action,
                                    nexus_abi::kernel_sigaction& old) {
    if (!signal::is_valid(number) || (action != nullptr && (signal::bit(number) & kUnblockable) != 0)) {
        return Error::InvalidArgument;
    }
    Process& process = caller.process();
    ProcessSignals& signals = process.signals;
    const LockGuard guard{signals.waiters.lock()};
    old = signals.actions.get(number);
    if (action != nullptr) {
        signals.actions.set(
            number,
            {.handler = action->handler, .flags = action->flags, .mask = action->mask & ~kUnblockable});
        const std::uint64_t pending = signals.pending.set() | caller.pending_signals.set();
        if ((pending & signal::bit(number)) != 0 && reaction_to(process, number) == Reaction::Drop) {
            signals.pending.drop(signal::bit(number));
            caller.pending_signals.drop(signal::bit(number));
        }
    }
    return {};
}

void set_signal_mask(Task& task, std::uint64_t mask) {
    mask &= ~kUnblockable;
    Process& process = task.process();
    bool is_offered = false;
    {
        const LockGuard guard{process.signals.waiters.lock()};
        const std::uint64_t before = task.signal_mask.load(std::memory_order_relaxed);
        process.signals.blockers.add(mask & ~before);
        process.signals.blockers.remove(before & ~mask);
        unlist_thread(process, task);
        task.signal_mask.store(mask);
        list_thread(process, task);
        note_deliverable(task, mask);
        is_offered = (process.signals.pending.set() & mask & ~before) != 0;
    }
    if (is_offered) {
        offer_pending(process);
    }
}

void set_temporary_mask(Task& task, std::uint64_t mask) {
    if (!task.has_saved_mask) {
        task.saved_mask = task.signal_mask.load(std::memory_order_relaxed);
        task.has_saved_mask = true;
    }
    task.exit_work.fetch_or(Task::kMaskWork);
    set_signal_mask(task, mask);
}

std::uint64_t pending_signals(Task& task) {
    ProcessSignals& signals = task.process().signals;
    const LockGuard guard{signals.waiters.lock()};
    return (task.pending_signals.set() | signals.pending.set()) & task.signal_mask.load();
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
    for (Wait* wait = waiters.first_of(kSignalWaits, 0); wait != nullptr;
         wait = waiters.first_of(kSignalWaits, 0, wait->sequence)) {
        ++waiting;
    }
    if (waiting >= kMaxSignalWaiters) {
        return Error::NoMemory;
    }
    caller.taken_signal = 0;
    caller.waited_signals = set;
    begin_wait(caller, &waiters, {.deadline = deadline, .resume = resume, .on_signal = OnSignal::Fails});
    return SysResult::blocked();
}

std::uint32_t taken_signal(Task& task, SignalInfo& info) {
    info = task.taken_info;
    return task.taken_signal;
}

void add_signal_thread(Process& process, Task& task) {
    const LockGuard guard{process.signals.waiters.lock()};
    ++process.signals.threads;
    if (process.signals.stop_signal != 0) {
        task.exit_work.fetch_or(Task::kSignalWork);
    }
    process.signals.blockers.add(task.signal_mask.load(std::memory_order_relaxed));
    list_thread(process, task);
}

void remove_signal_thread(Process& process, Task& task) {
    bool is_offered = false;
    std::uint32_t stopped_by = 0;
    {
        const LockGuard guard{process.signals.waiters.lock()};
        --process.signals.threads;
        process.signals.blockers.remove(task.signal_mask.load(std::memory_order_relaxed));
        unlist_thread(process, task);
        if (std::exchange(task.is_stopped, false)) {
            --process.signals.stopped_threads;
        } else if (process.signals.stop_signal != 0 && process.signals.threads != 0 &&
                   process.signals.stopped_threads == process.signals.threads &&
                   !process.is_exiting.load(std::memory_order_relaxed)) {
            stopped_by = process.signals.stop_signal;
        }
        task.pending_signals.drop(~std::uint64_t{0});
        is_offered = process.signals.threads != 0 && process.signals.pending.set() != 0;
    }
    if (stopped_by != 0) {
        note_child_change(process, ChildChange::Stopped, stopped_by);  // the others waited for it alone
    }
    if (is_offered) {
        offer_pending(process);
    }
}

void inherit_signals(Task& caller, Process& child, Task& child_task) {
    ProcessSignals& signals = caller.process().signals;
    const LockGuard guard{signals.waiters.lock()};
    child.signals.actions.copy_from(signals.actions);
    child_task.signal_mask.store(caller.signal_mask.load(std::memory_order_relaxed),
                                 std::memory_order_relaxed);
    child_task.alternate_stack = caller.alternate_stack;
}

void reset_signal_handlers(Task& caller) {
    ProcessSignals& signals = caller.process().signals;
    const LockGuard guard{signals.waiters.lock()};
    signals.actions.for_each_stored([&](std::uint32_t number) {
        const bool is_ignored = signals.actions.get(number).handler == signal::kIgnoreHandler;
        signals.actions.set(number, {.handler = is_ignored ? signal::kIgnoreHandler : signal::kDefaultHandler,
                                     .flags = 0,
                                     .mask = 0});
    });
    caller.alternate_stack = {};
}

SignalToTake take_signal(Task& task) {
    Process& process = task.process();
    const LockGuard guard{process.signals.waiters.lock()};
    const std::uint64_t mask = task.signal_mask.load(std::memory_order_relaxed);
    SignalToTake taken;
    if (process.signals.stop_signal != 0) {
        taken.what = SignalToTake::What::StayStopped;
        return taken;
    }
    // A process on borrowed memory does not stop before it has given it back: its lender waits for that,
    // cannot stop itself meanwhile, and whoever wants both to stop would wait for ever. Only its one thread
    // changes the flag.
    const std::uint64_t withheld = process.borrows_space ? signal::kStopSignals : 0;
    while (true) {
        const std::uint32_t number = take_pending(task, ~(mask | withheld), taken.info);
        if (number == 0) {
            return taken;
        }
        const Reaction reaction = reaction_to(process, number);
        if (reaction == Reaction::Drop) {
            continue;
        }
        taken.number = number;
        if (reaction == Reaction::Stop) {
            process.signals.stop_taken = true;
            taken.what = SignalToTake::What::Stop;
            return taken;
        }
        taken.what = reaction == Reaction::End ? SignalToTake::What::End : SignalToTake::What::Handle;
        taken.action = process.signals.actions.get(number);
        if (taken.what == SignalToTake::What::Handle && (taken.action.flags & signal::kResetHandler) != 0) {
            nexus_abi::kernel_sigaction reset = taken.action;
            reset.handler = signal::kDefaultHandler;
            process.signals.actions.set(number, reset);
        }
        note_deliverable(task, mask);
        return taken;
    }
}

}  // namespace kernel::task
