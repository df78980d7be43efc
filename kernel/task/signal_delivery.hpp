// SPDX-License-Identifier: MIT
// How a handler is entered and left. The frame on the user's stack is Linux' (signal_frame.hpp); what a
// handler returns to is the trampoline, one page with rt_sigreturn in it that every process has at
// kTrampoline, readable and executable (Linux has it in its vDSO).
//
// What becomes of a call the signal interrupted (Task::interruption): behind a handler it fails with EINTR,
// or begins anew when both it and the handler allow that (SA_RESTART); what it had done by then is its
// result. When there is no handler after all it goes on as if nothing had been. A call that is done in pieces
// and does not wait is finished first.
#pragma once

#include <cstdint>

#include "lib/result.hpp"
#include "mm/address_space.hpp"
#include "mm/layout.hpp"
#include "task/signal_frame.hpp"
#include "task/sys_result.hpp"
#include "task/task.hpp"

namespace kernel::task {

inline constexpr VirtAddr kTrampoline{mm::kUserTop.value() - mm::kPageSize};
static_assert(kTrampoline >= mm::kUserStackTop);

// Makes the page. Once, before the first program is loaded. Errors: NoMemory.
[[nodiscard]] Result<void> prepare_trampoline();
// Maps it. Errors: NoMemory.
[[nodiscard]] Result<void> map_trampoline(mm::AddressSpace& space);

// Whether deliver_signals() has something to do before the task returns to user mode.
[[nodiscard]] inline bool needs_delivery(const Task& task) {
    return (task.exit_work.load(std::memory_order_relaxed) & ~Task::kEndWork) != 0 &&
           (task.call_progress == 0 || task.interruption != OnSignal::Stays);
}
// Acts on one signal, or finds that there is none. Pre: the task runs on this hart and needs it; no lock is
// held. It may end the process.
void deliver_signals(Task& task);

// rt_sigreturn: registers, FP registers, mask and alternate stack as the frame at sp says. Nothing in it is
// privileged: any value is one the program could have set itself. A frame that cannot be read ends the
// process with SIGSEGV.
SysResult return_from_handler(Task& caller);

// sigaltstack's view of the alternate stack of a task with this stack pointer; and setting it. Errors:
// NotPermitted while it is in use, InvalidArgument for unknown flags, NoMemory when it is too small.
[[nodiscard]] UserStack read_alternate_stack(const Task& task);
[[nodiscard]] Result<void> set_alternate_stack(Task& task, const UserStack& wanted);

}  // namespace kernel::task
