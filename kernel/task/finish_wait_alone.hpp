// SPDX-License-Identifier: MIT
// The end of a wait where most ends of waits are the same: in line, for those who end most of them.
#pragma once

#include "arch/contract.hpp"
#include "task/hart.hpp"
#include "task/wait.hpp"

namespace kernel::task {

// finish_wait() on a machine of one hart, where the task sleeps and its wake-up can be put off
// (RunQueue::wake_later()): who wakes it mostly waits itself soon. False, and nothing done, in other cases.
// Pre: the wait is armed or claimed; if this is true, it is taken off its queue next. Skipped, and why that
// is sound:
//   claiming, both steps of RunState   Nobody races: nothing interrupts the kernel, and no other hart runs.
//   choosing a hart, its mask          There is one hart, and what is put off has run there; as no CPU comes
//                                      or goes, its mask stays fitted.
#ifdef __riscv
[[nodiscard, gnu::always_inline]] inline bool finish_wait_alone(Wait& wait, std::int64_t result) {
    Task& task = *wait.task;
    if (!has_one_hart || wait.has_deadline ||
        task.run_state.load(std::memory_order_relaxed) != RunState::Blocked) {
        return false;
    }
    Hart& hart = this_hart();
    const SharedLockGuard guard{hart.lock, true};
    const Instant now = hart.round.is_never() ? arch::now() : hart.round;
    Instant event;
    if (!hart.queue.wake_later(task.entity, now, event)) {
        return false;
    }
    if (task.resume == nullptr) {
        task.frame.set_result(result);
    }
    wait.queue = nullptr;
    arch::store_relaxed(wait.token, std::uint32_t{Wait::None});
    arch::store_relaxed(task.run_state, RunState::Ready);
    task.enqueue_reason = sched::EnqueueReason::Wake;
    trace_placement(task, sched::EnqueueReason::Wake, arch::current_cpu(), arch::current_cpu(), now);
    hart.has_company = true;
    advance_timer(hart, event);
    return true;
}
#else
// On the host there are no harts, and tests stand in for the dispatcher: the general way.
[[nodiscard]] inline bool finish_wait_alone(Wait& /*wait*/, std::int64_t /*result*/) {
    return false;
}
#endif

// The same in a system call, without a call in between: where the timer is set early enough, and the wait
// ends with a result. Pre: has_one_hart; the wait is open, and its task sleeps. If this is true, the wait is
// taken off its queue and the wake-up is traced.
[[nodiscard, gnu::always_inline]] inline bool finish_wait_at_once(Hart& hart, Wait& wait,
                                                                  std::uint64_t result,
                                                                  Instant now) NO_THREAD_SAFETY_ANALYSIS {
    Task& task = *wait.task;
    DCHECK(task.run_state.load(std::memory_order_relaxed) == RunState::Blocked && hart.round.is_never());
    if (wait.has_deadline || task.resume != nullptr || hart.timer_is_new ||
        !hart.queue.wake_later_at_once(task.entity, now, hart.programmed)) {
        return false;
    }
    task.frame.set_result(static_cast<std::int64_t>(result));
    wait.queue = nullptr;
    arch::store_relaxed(wait.token, std::uint32_t{Wait::None});
    arch::store_relaxed(task.run_state, RunState::Ready);
    hart.has_company = true;
    return true;
}
}  // namespace kernel::task
