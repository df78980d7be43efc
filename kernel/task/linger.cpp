// SPDX-License-Identifier: MIT
#include "task/linger.hpp"

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "task/dispatcher.hpp"
#include "task/short_cuts.hpp"

namespace kernel::task {

namespace {

// How long it sleeps before it looks the first time; each further time is twice as long. Together 3.75 us.
constexpr Duration kFirstStep = Duration::nanoseconds(250);
constexpr Duration kLastStep = Duration::nanoseconds(2000);
constexpr Duration kLongest = kLastStep + kLastStep;

bool is_other_hart_awake() {
    CpuMask others = online_cpus().without(idle_cpus.load());
    others.remove(arch::current_cpu());
    return !others.empty();
}

// Whether the hart can do without its timer meanwhile, and the task with being charged for the time.
bool may_linger(Hart& hart, const Task& task, Instant now) {
    const LockGuard guard{hart.lock};
    if (hart.queue.runnable() != 1 || has_budget(task) || hart.programmed <= now + kLongest) {
        return false;
    }
    hart.programmed = kTimerFired;
    hart.timer_is_new = true;  // set anew in any case
    return true;
}

}  // namespace

bool linger(Hart& hart, const Task& task, Instant now) {
    const auto is_waiting = [&task] {
        return task.run_state.load(std::memory_order_acquire) == RunState::Blocking;
    };
    // A wait with a deadline is mostly for that.
    if (has_one_hart || hart.has_company || hart.timer_is_new || !is_waiting() || !is_other_hart_awake() ||
        !takes_short_cuts() || !may_linger(hart, task, now)) {
        return false;
    }
    Instant until = now;
    for (Duration step = kFirstStep; step <= kLastStep; step = step + step) {
        until = until + step;
        arch::rest_until(until);
        if (!is_waiting() || (arch::pending_interrupts() & ~arch::kPendingTimer) != 0) {
            return true;
        }
    }
    return true;
}

}  // namespace kernel::task
