// SPDX-License-Identifier: MIT
// Signals as far as they end processes. Actions and masks are stored and returned; SIG_IGN and SIG_DFL are
// obeyed. Handlers are not run yet: a caught signal takes its default action, so that nothing a program waits
// to be ended by is lost. Stop and continue do nothing. A blocked signal stays pending until it is unblocked,
// except SIGKILL.
#pragma once

#include <cstdint>

#include "lib/result.hpp"
#include "nexus_abi/linux.hpp"
#include "task/process.hpp"
#include "task/task.hpp"

namespace kernel::task {

namespace signal {
// Linux' numbers (include/uapi/asm-generic/signal.h).
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

enum class DefaultAction : std::uint8_t { Terminate, Ignore, Stop, Continue };
// Pre: 1 <= number <= kSignalCount.
[[nodiscard]] DefaultAction default_action(std::uint32_t number);
[[nodiscard]] constexpr std::uint64_t bit(std::uint32_t number) {
    return std::uint64_t{1} << (number - 1);
}
}  // namespace signal

// Sends a signal to a process, or to one thread of it. Pre: 1 <= number <= kSignalCount; the caller holds a
// reference and no lock. Ending the process is asynchronous: its threads end before they return to user mode.
void signal_process(Process& process, std::uint32_t number);
void signal_task(Task& task, std::uint32_t number);

// A fault of the running task: its process ends with this signal, whatever is blocked or ignored.
void signal_fault(Task& task, std::uint32_t number);

// rt_sigaction: stores `action` if given, returns what was there before. Errors: InvalidArgument for a number
// out of range, and for an action for SIGKILL or SIGSTOP.
Result<nexus_abi::kernel_sigaction> exchange_signal_action(Process& process, std::uint32_t number,
                                                           const nexus_abi::kernel_sigaction* action);

// The running task's mask (bit n - 1 = signal n); SIGKILL and SIGSTOP cannot be blocked. Acts on pending
// signals that are no longer blocked.
void set_signal_mask(Task& task, std::uint64_t mask);

}  // namespace kernel::task
