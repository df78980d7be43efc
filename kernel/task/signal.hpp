// SPDX-License-Identifier: MIT
// Signals as far as they end processes or are waited for. Actions and masks are stored and returned; SIG_IGN
// and SIG_DFL are obeyed. Handlers are not run yet: a caught signal takes its default action, so that nothing
// a program waits to be ended by is lost. Stop does nothing, and continue only lets a process run that was
// spawned held (release_process()). A signal every thread blocks stays
// pending, ignored or not, until it is unblocked or taken by rt_sigtimedwait; SIGKILL cannot be blocked. One
// of each number is pending at most: a second one before the first is taken says nothing new.
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
inline constexpr std::uint32_t kIllegal = 4;
inline constexpr std::uint32_t kTrap = 5;
inline constexpr std::uint32_t kAbort = 6;
inline constexpr std::uint32_t kBus = 7;
inline constexpr std::uint32_t kKill = 9;
inline constexpr std::uint32_t kSegmentation = 11;
inline constexpr std::uint32_t kTerminate = 15;
inline constexpr std::uint32_t kChild = 17;
inline constexpr std::uint32_t kContinue = 18;
inline constexpr std::uint32_t kStop = 19;

// SignalInfo::code (include/uapi/asm-generic/siginfo.h).
inline constexpr std::int32_t kFromUser = 0;       // SI_USER: kill
inline constexpr std::int32_t kFromThread = -6;    // SI_TKILL: tkill, tgkill
inline constexpr std::int32_t kFromKernel = 0x80;  // SI_KERNEL
inline constexpr std::int32_t kChildExited = 1;    // CLD_EXITED
inline constexpr std::int32_t kChildKilled = 2;    // CLD_KILLED

enum class DefaultAction : std::uint8_t { Terminate, Ignore, Stop, Continue };
// Pre: 1 <= number <= kSignalCount.
[[nodiscard]] DefaultAction default_action(std::uint32_t number);
[[nodiscard]] constexpr std::uint64_t bit(std::uint32_t number) {
    return std::uint64_t{1} << (number - 1);
}
}  // namespace signal

// Sends a signal to a process. Pre: 1 <= number <= kSignalCount; the caller holds a reference and no lock.
// Ending the process is asynchronous: its threads end before they return to user mode.
void signal_process(Process& process, std::uint32_t number, const SignalInfo& info);
// Sends a signal to one thread; `sender` is the process it comes from. Pre: as above.
void signal_task(Task& task, std::uint32_t number, TaskId sender);

// Tells a process that a child of it ended. Pre: family_lock is held, no lock of a rank above it.
void signal_child_ended(Process& parent, TaskId child, std::int32_t wait_status);

// A fault of the running task: its process ends with this signal, whatever is blocked or ignored.
void signal_fault(Task& task, std::uint32_t number);

// rt_sigaction: stores `action` if given, returns what was there before. Errors: InvalidArgument for a number
// out of range, and for an action for SIGKILL or SIGSTOP.
Result<nexus_abi::kernel_sigaction> exchange_signal_action(Task& caller, std::uint32_t number,
                                                           const nexus_abi::kernel_sigaction* action);

// The running task's mask (bit n - 1 = signal n); SIGKILL and SIGSTOP cannot be blocked. Acts on pending
// signals that are no longer blocked.
void set_signal_mask(Task& task, std::uint64_t mask);

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

// A thread comes and goes: its mask counts. Pre: the thread is not running (add), or is the caller (remove).
void add_signal_thread(Process& process, const Task& task);
void remove_signal_thread(Process& process, const Task& task);

}  // namespace kernel::task
