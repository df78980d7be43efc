// SPDX-License-Identifier: MIT
// Signals: who gets them, what is pending, what is blocked, what is to be done about each (signal(7)). How a
// handler is entered and left is in signal_delivery.hpp.
//
// A signal that ends the process does so at once; one that is ignored is dropped; one that is blocked by
// whoever could take it stays pending, ignored or not, until it is unblocked or taken by rt_sigtimedwait.
// Anything else is pending for one chosen thread, whose open wait ends (wait.hpp), and which acts on it
// before it returns to user mode: it runs the handler, or has the process stop.
//
// A process stops when each of its threads has come to its way back to user mode, where it waits for SIGCONT
// or its end; calls that waited in signal-open waits go on behind it as if nothing had been, those that wait
// otherwise are finished first. Then its parent is told. While it is stopped, only SIGKILL and SIGCONT do
// anything. Pid 1 does not stop. SIGCONT also lets a process run that was spawned held (release_process()).
// Sent, it drops the pending stop signals of the process and of the thread it is sent to, and each of those
// drops it.
//
// Concurrency: each function takes the lock of the process's signals (rank WaitQueue); those that may end the
// process also take family_lock, so their callers hold no lock.
#pragma once

#include <cstdint>

#include "lib/result.hpp"
#include "nexus_abi/linux.hpp"
#include "task/process.hpp"
#include "task/sys_result.hpp"
#include "task/task.hpp"

namespace kernel::task {

namespace signal {
// Linux' numbers (include/uapi/asm-generic/signal.h).
inline constexpr std::uint32_t kHangUp = 1;
inline constexpr std::uint32_t kInterrupt = 2;
inline constexpr std::uint32_t kQuit = 3;
inline constexpr std::uint32_t kIllegal = 4;
inline constexpr std::uint32_t kTrap = 5;
inline constexpr std::uint32_t kAbort = 6;
inline constexpr std::uint32_t kBus = 7;
inline constexpr std::uint32_t kFloatingPoint = 8;
inline constexpr std::uint32_t kKill = 9;
inline constexpr std::uint32_t kSegmentation = 11;
inline constexpr std::uint32_t kPipe = 13;
inline constexpr std::uint32_t kAlarm = 14;
inline constexpr std::uint32_t kTerminate = 15;
inline constexpr std::uint32_t kChild = 17;
inline constexpr std::uint32_t kContinue = 18;
inline constexpr std::uint32_t kStop = 19;
inline constexpr std::uint32_t kTerminalStop = 20;    // SIGTSTP
inline constexpr std::uint32_t kTerminalInput = 21;   // SIGTTIN
inline constexpr std::uint32_t kTerminalOutput = 22;  // SIGTTOU
inline constexpr std::uint32_t kVirtualAlarm = 26;
inline constexpr std::uint32_t kProfiling = 27;
inline constexpr std::uint32_t kWindowChange = 28;  // SIGWINCH
inline constexpr std::uint32_t kBadCall = 31;

// kernel_sigaction::handler and ::flags.
inline constexpr std::uint64_t kDefaultHandler = 0;
inline constexpr std::uint64_t kIgnoreHandler = 1;
inline constexpr std::uint64_t kNoChildStop = 1;             // SA_NOCLDSTOP
inline constexpr std::uint64_t kNoChildWait = 2;             // SA_NOCLDWAIT
inline constexpr std::uint64_t kOnAlternateStack = 1 << 27;  // SA_ONSTACK
inline constexpr std::uint64_t kRestart = 1 << 28;           // SA_RESTART
inline constexpr std::uint64_t kNoDefer = 1 << 30;           // SA_NODEFER
inline constexpr std::uint64_t kResetHandler = 1U << 31;     // SA_RESETHAND

enum class DefaultAction : std::uint8_t { Terminate, Ignore, Stop, Continue };
// Pre: 1 <= number <= kSignalCount.
[[nodiscard]] DefaultAction default_action(std::uint32_t number);
[[nodiscard]] constexpr std::uint64_t bit(std::uint32_t number) {
    return std::uint64_t{1} << (number - 1);
}
inline constexpr std::uint64_t kStopSignals =
    bit(kStop) | bit(kTerminalStop) | bit(kTerminalInput) | bit(kTerminalOutput);
[[nodiscard]] constexpr bool is_valid(std::uint32_t number) {
    return number >= 1 && number <= kSignalCount;
}
}  // namespace signal

// Sends a signal to a process. TryAgain: it is pending, but its details could not be kept. Pre: 1 <= number
// <= kSignalCount; the caller holds a reference and no lock. Ending the process is asynchronous: its threads
// end before they return to user mode.
Result<void> signal_process(Process& process, std::uint32_t number, const SignalInfo& info);
// Sends a signal to one thread. Errors and pre: as above.
Result<void> signal_task(Task& task, std::uint32_t number, const SignalInfo& info);

// Tells a process that a child of it ended, stopped or continued, with SIGCHLD. Pre: family_lock is held, no
// lock of a rank above it.
void signal_child_changed(Process& parent, TaskId child, std::int32_t wait_status);
// SIGCHLD's details of a wait status.
[[nodiscard]] SignalInfo info_of_child(TaskId child, std::int32_t wait_status);
// Whether the process has a handler for the signal.
[[nodiscard]] bool catches_signal(Process& process, std::uint32_t number);
// Whether the signal would do nothing to the running task now: it is blocked there, or ignored.
[[nodiscard]] bool ignores_or_blocks(Task& task, std::uint32_t number);
// Whether children of this process leave nothing to wait for: SIGCHLD is ignored by name, or SA_NOCLDWAIT.
[[nodiscard]] bool forgets_children(Process& process);

// A fault of the running task. True: a handler will run. False: there is none, or it is blocked; what the
// caller does then is end_by_fault().
[[nodiscard]] bool signal_fault(Task& task, std::uint32_t number, const SignalInfo& info);
// The process ends with this signal, whatever is blocked or ignored.
void end_by_fault(Task& task, std::uint32_t number);

// rt_sigaction: stores `action` if given; `old` is what was there before. Errors: InvalidArgument for a
// number out of range, and for an action for SIGKILL or SIGSTOP.
Result<void> exchange_signal_action(Task& caller, std::uint32_t number,
                                    const nexus_abi::kernel_sigaction* action,
                                    nexus_abi::kernel_sigaction& old);

// Whether the running thread is the only one of its process. Only threads of the process change actions, so
// one that is alone may look at them without the lock; what a thread that has ended did is seen with the
// count. Pre: a thread of the process runs here.
[[nodiscard]] inline bool is_alone(const Process& process) {
    return process.signals.threads.load(std::memory_order_acquire) == 1;
}
// The running task's mask (bit n - 1 = signal n); SIGKILL and SIGSTOP cannot be blocked. Pending signals that
// are no longer blocked are delivered before the task returns to user mode; those of the process that it now
// blocks are offered to other threads.
void set_signal_mask(Task& task, std::uint64_t mask);
// Another mask until the task returns to user mode, handlers included: what they return to is the mask before
// (rt_sigsuspend, ppoll). May be called again while it holds.
void set_temporary_mask(Task& task, std::uint64_t mask);
// The blocked signals that are pending for the task or its process.
[[nodiscard]] std::uint64_t pending_signals(Task& task);

// rt_sigtimedwait: takes the pending signal of `set` with the smallest number, the thread's own before the
// process's, or waits for one until `deadline`. Returns the number, info filled in; TryAgain when there is
// none and the deadline is not after `now`; blocked() otherwise, and then `resume` runs when the wait is
// over: it calls taken_signal(). Signals of `set` the caller does not block are not kept for it. Errors:
// NoMemory when kMaxSignalWaiters threads of the process wait already.
inline constexpr std::uint32_t kMaxSignalWaiters = 64;
SysResult wait_for_signal(Task& caller, std::uint64_t set, Instant now, Instant deadline,
                          void (*resume)(Task&), SignalInfo& info);
// What ended the wait of the running task: a signal's number, or 0 when its deadline passed.
[[nodiscard]] std::uint32_t taken_signal(Task& task, SignalInfo& info);

// A thread comes and goes: its mask counts, and what it does not take any more goes to others. Pre: the
// thread is not running (add), or is the caller (remove).
void add_signal_thread(Process& process, Task& task);
void remove_signal_thread(Process& process, Task& task) REQUIRES(family_lock());

// ---- Stopping ----

// Has the running task stop: it waits, until the process is continued, and tells others to. Pre: no lock is
// held; deliver_signals() does nothing more about the task for now.
void stop_thread(Task& task);
// The process stops by this signal from now on, unless it is being ended or continued meanwhile.
void begin_stop(Task& task, std::uint32_t number);
// Whether it is told to stop, or has. Pre: family_lock may be held.
[[nodiscard]] bool is_stopped(Process& process);

// What sending a signal does to pending stop signals and SIGCONT; true when the process was stopped, and goes
// on. Pre: the lock of the process's signals is held. `only`: the thread it is sent to, or null.
[[nodiscard]] bool settle_stop_signals(Process& process, Task* only, std::uint32_t number);
// Has the task look at its signals soon. Sequentially consistent with begin_wait() and the exit path: either
// they see the flag, or the wait is found armed and the hart is interrupted. Pre: no lock of a rank above
// Process is held.
void notify(Task& task);

// fork: the child starts with the caller's actions, mask and alternate stack, and with nothing pending. Pre:
// the child has no threads yet.
void inherit_signals(Task& caller, Process& child, Task& child_task);
// execve: caught signals go back to their default, ignored ones stay so; the mask and what is pending stay.
void reset_signal_handlers(Task& caller);

// ---- For signal_delivery.cpp ----

// What is to be done about the next signal of the running task.
struct SignalToTake {
    enum class What : std::uint8_t { Nothing, End, Handle, Stop, StayStopped };
    What what{What::Nothing};
    std::uint32_t number{0};
    SignalInfo info;
    nexus_abi::kernel_sigaction action{};  // Handle: as it was when the signal was taken
};
[[nodiscard]] SignalToTake take_signal(Task& task);

}  // namespace kernel::task
