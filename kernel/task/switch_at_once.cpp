// SPDX-License-Identifier: MIT
// The exit path of the most frequent switch: on a machine of one hart, two threads of a process take turns,
// by sched_yield() or by waking each other and waiting.
//
// It calls nothing, so that it keeps nothing on the stack, and beside switch_plainly() of dispatcher.cpp,
// which does the same on any machine, skips what only a second hart can bring about:
//   the lock, the order of loads and stores   Nobody else looks.
//   arrivals, CPUs that come and go,          There are none, and whoever runs here may do so: there is no
//   masks, evictors                           other hart.
//   fairness between harts                    likewise.
// and what is seen to a moment later:
//   timers that are due                       The hart's timer is set for them. It interrupts at the first
//                                             instruction of the program.
// What is found to be unusual before anything was done is left to exit_to_user(). What is found afterwards,
// about the task that follows, too: it is then the current one, whose registers only have to be loaded.
#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "task/dispatcher.hpp"
#include "task/end_at_once.hpp"
#include "task/hart.hpp"
#include "task/process.hpp"
#ifdef __riscv
#include "task/trace_alone.hpp"
#endif

namespace kernel::task {

#ifdef __riscv

// Whether nothing is to be done for a task before it runs on but to load its registers, those for floating
// point not among them.
[[gnu::always_inline]] static inline bool is_ready_to_go(const Hart& hart,
                                                         const Task& task) NO_THREAD_SAFETY_ANALYSIS {
    return task.exit_work.load(std::memory_order_relaxed) == 0 && task.resume == nullptr &&
           &task.process() == hart.served && task.process().space_or_null() == hart.space &&
           task.fp_epoch == hart.fp_epoch;
}

namespace {

// Whether the timer is set for what was chosen last; if not, exit_to_user() does it.
[[gnu::always_inline]] inline bool is_in_time(Hart& hart, Instant event) NO_THREAD_SAFETY_ANALYSIS {
    if (event < hart.programmed) [[unlikely]] {
        hart.recheck = hart.timer_is_new = true;
        return false;
    }
    return true;
}

// What a switch is to the hart.
[[gnu::always_inline]] inline void go_over(Hart& hart, Task& task, RunState left, Task& next) {
    arch::store_relaxed(task.run_state, left);
    hart.current = &next;
    arch::store_relaxed(next.run_state, RunState::Running);
}

// After a yield, to `next`. Null: something is to be done for it.
[[gnu::always_inline]] inline arch::TrapFrame* yield_over(Hart& hart, Task& task, Task& next,
                                                          std::uint32_t runnable, Instant event,
                                                          Instant now) NO_THREAD_SAFETY_ANALYSIS {
    hart.recheck = hart.yield_requested = false;
    go_over(hart, task, RunState::Ready, next);
    const bool is_ready = is_in_time(hart, event) && is_ready_to_go(hart, next) && next.due == Instant{} &&
                          (!next.entity.is_waking() || hart.queue.note_started_at_once(now));
    if (trace::Ring* const ring = trace::ring_if_traced(); ring != nullptr) [[unlikely]] {
        if (&next != &task) {
            write_yield_alone(*ring, next, runnable, now);
        }
        return is_ready ? arch::resume(next.frame) : nullptr;
    }
    return is_ready ? arch::resume(next.frame) : nullptr;
}

// A yield while several wait. It calls what puts one into the tree and takes another one out.
[[gnu::noinline]] arch::TrapFrame* yield_among(Hart& hart, Instant now) NO_THREAD_SAFETY_ANALYSIS {
    Instant event;
    sched::Entity* const entity = hart.queue.yield_among(now, event);
    if (entity == nullptr) {
        return nullptr;
    }
    Task& next = task_of(*entity);
    if (&next.process() != hart.served) [[unlikely]] {
        serve(hart, &next.process(), now);
    }
    return yield_over(hart, *hart.current, next, hart.queue.runnable_after_decision(), event, now);
}

// From a task that waits to the child it began before. Pre: all is as switch_at_once() wants it.
[[gnu::noinline]] arch::TrapFrame* switch_to_child(Hart& hart, sched::Entity& child,
                                                   Instant now) NO_THREAD_SAFETY_ANALYSIS {
    Task& task = *hart.current;
    Task& next = task_of(child);
    if (hart.queue.hand_over_to_child(child, now) == sched::RunQueue::Turn::Refused) {
        return nullptr;
    }
    hart.recheck = hart.has_company = false;
    go_over(hart, task, RunState::Blocked, next);
    if (trace::Ring* const ring = trace::ring_if_traced(); ring != nullptr) [[unlikely]] {
        write_wait_alone(*ring, task, next, now);
    }
    return arch::resume(next.frame);
}

}  // namespace

arch::TrapFrame* switch_at_once() NO_THREAD_SAFETY_ANALYSIS {
    Hart& hart = this_hart();
    const std::uint64_t requested = requests(hart);
    const bool blocks = requested == kRecheck;
    if (!blocks && requested != (kRecheck | kYieldRequested)) {
        return nullptr;
    }
    const Instant now = arch::now();
    if (!hart.queue.is_usual(now) || arch::fp_is_dirty()) {
        return nullptr;
    }
    Task& task = *hart.current;
    if (!blocks) {
        sched::Entity* const other = hart.queue.only_waiting();
        if (other == nullptr) {
            return yield_among(hart, now);
        }
        Instant event;
        sched::Entity* const entity = &task_of(*other).process() == hart.served
                                          ? hart.queue.yield_at_once(*other, now, event)
                                          : nullptr;
        return entity == nullptr ? nullptr : yield_over(hart, task, task_of(*entity), 2, event, now);
    }
    sched::Entity* const woken = hart.queue.put_off();
    if (woken == nullptr) {
        return nullptr;
    }
    Task& next = task_of(*woken);
    if (!is_ready_to_go(hart, next) || next.due != Instant{} ||
        task.run_state.load(std::memory_order_relaxed) != RunState::Blocking ||
        task.exit_work.load(std::memory_order_relaxed) != 0) {
        return nullptr;
    }
    using Turn = sched::RunQueue::Turn;
    const Turn turn = hart.queue.hand_over_at_once(*woken, now);
    if (turn == Turn::Refused) [[unlikely]] {
        return switch_to_child(hart, *woken, now);
    }
    hart.recheck = hart.has_company = false;
    go_over(hart, task, RunState::Blocked, next);
    trace::Ring* const ring = trace::ring_if_traced();
    if (turn == Turn::Begun) [[likely]] {
        if (ring != nullptr) [[unlikely]] {
            write_wait_alone(*ring, task, next, now);
            return arch::resume(next.frame);
        }
        return arch::resume(next.frame);
    }
    if (ring != nullptr) {
        write_wait_alone(*ring, task, next, now);
    }
    return nullptr;
}

// Budgets are not looked at: there are none where a wake-up was put off (RunQueue::wake_later()). This one
// calls what takes the task away.
arch::TrapFrame* end_at_once(Hart& hart, Task& task, Instant now) NO_THREAD_SAFETY_ANALYSIS {
    sched::Entity* const woken = hart.queue.put_off();
    if (requests(hart) != (kRecheck | kExitRequested) || woken == nullptr || !hart.queue.is_usual(now) ||
        task.has_evictors || task.group || arch::fp_is_dirty()) {
        return nullptr;
    }
    Task& next = task_of(*woken);
    if (!is_ready_to_go(hart, next) || next.due != Instant{}) {
        return nullptr;
    }
    using Turn = sched::RunQueue::Turn;
    const Turn turn = hart.queue.hand_over_at_end(*woken, now);
    if (turn == Turn::Refused) {
        return nullptr;
    }
    hart.recheck = hart.exit_requested = hart.has_company = false;
    go_over(hart, task, RunState::Dead, next);
    if (turn == Turn::Waking) {
        hart.queue.note_started(now);
    }
    if (trace::is_on(nexus_abi::kTraceSched)) [[unlikely]] {
        write_switch(hart, &task, trace::Fate::Ended, now);
    }
    Ref<Task>::adopt(task).reset();  // the reference a live task has of itself
    return arch::resume(next.frame);
}

#else  // on the host harts come by the dozen

arch::TrapFrame* switch_at_once() {
    return nullptr;
}

arch::TrapFrame* end_at_once(Hart& /*hart*/, Task& /*task*/, Instant /*now*/) {
    return nullptr;
}

#endif

}  // namespace kernel::task
