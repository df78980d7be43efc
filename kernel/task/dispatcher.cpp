// SPDX-License-Identifier: MIT
// The exit path: the one place that decides to switch, and the only way out of the kernel.
#include "task/dispatcher.hpp"

#include <utility>

#include "arch/contract.hpp"
#include "arch/riscv64/cpu.hpp"
#include "lib/check.hpp"
#include "sched/auditor.hpp"
#include "task/end_at_once.hpp"
#include "task/fp_registers.hpp"
#include "task/hart.hpp"
#include "task/lifecycle.hpp"
#include "task/linger.hpp"
#include "task/process.hpp"
#include "task/signal_delivery.hpp"
#include "task/watchdog.hpp"
#include "trace/trace.hpp"

namespace kernel::task {

namespace {

// Not inlined: most tasks follow one of their process.
[[gnu::noinline]] void change_address_space(Hart& hart, mm::AddressSpace& space) {
    if (hart.space != nullptr) {
        hart.space->deactivate(arch::current_cpu());
    }
    space.activate(arch::current_cpu());
    hart.space = &space;
}

void load_address_space(Hart& hart, Task& task) {
    mm::AddressSpace& space = task.process().space();
    if (hart.space != &space) {
        change_address_space(hart, space);
    }
}

void program_timer(Hart& hart, Instant now) REQUIRES(hart.lock) {
    program_timer_for(hart, hart.queue.next_event(now));
}

void audit(Hart& hart) REQUIRES(hart.lock) {
#ifdef NEURON_DEBUG
    constexpr std::uint32_t kAuditedEntities = 8;
    const sched::Violation violation = sched::Auditor::check(hart.queue, kAuditedEntities);
    if (violation.found()) {
        check_failed(violation.rule, "auditor", static_cast<int>(hart.queue.cpu().value()));
    }
#else
    static_cast<void>(hart);
#endif
}

// What became of the task this hart ran.
enum class Fate : std::uint8_t { Stays, Blocked, Evicted, Ended };

struct Decision {
    Fate fate{Fate::Stays};
    bool balance{false};  // Pick::balance
};

trace::Fate traced_fate(const Task& task, Fate fate, bool yields) {
    switch (fate) {
        case Fate::Blocked:
            return trace::Fate::Blocked;
        case Fate::Evicted:
            return trace::Fate::Moved;
        case Fate::Ended:
            return trace::Fate::Ended;
        case Fate::Stays:
            break;
    }
    if (task.entity.state() == sched::TaskState::Throttled) {
        return trace::Fate::Throttled;
    }
    return yields ? trace::Fate::Yielded : trace::Fate::Preempted;
}

// `before`, which may be null, makes way for the hart's current task. Off the path of a switch that is not
// traced.
[[gnu::noinline]] void trace_switch(Hart& hart, const Task* before, Fate fate, bool yields, Instant now)
    REQUIRES(hart.lock) {
    if (before != hart.current) {
        write_switch(hart, before, before == nullptr ? trace::Fate::None : traced_fate(*before, fate, yields),
                     now);
    }
}

// Takes the current task off the hart if it may not go on here, and picks the next one. `evicted` is set when
// somebody waits until the task has left this hart, or may stay after all. It keeps the task: once the lock
// is dropped that may run to its end elsewhere.
Decision put_and_pick(Hart& hart, Instant now, Ref<Task>& evicted) {
    Task* const task = hart.current;
    Decision decision;
    Fate& fate = decision.fate;
    const bool yields = std::exchange(hart.yield_requested, false);
    const bool ends = std::exchange(hart.exit_requested, false);
    const bool is_online = hart.presence.load(std::memory_order_acquire) == Presence::Online;
    const LockGuard guard{hart.lock};
    hart.queue.catch_up();
    if (task != nullptr) {
        if (std::exchange(task->has_evictors, false)) {
            evicted = Ref<Task>::share(*task);
        }
        // Read once: a waker may turn Blocking into Woken at any moment.
        const RunState state = task->run_state.load(std::memory_order_acquire);
        if (ends) {
            hart.queue.put_current(now, sched::PutReason::Exit);
            detach_shared(hart, *task, now);
            fate = Fate::Ended;
        } else if (state == RunState::Woken) {
            // The wake-up came before the task was put aside: it just goes on.
            task->run_state.store(RunState::Running, std::memory_order_relaxed);
        } else if (state == RunState::Blocking) {
            hart.queue.put_current(now, sched::PutReason::Block);
            fate = Fate::Blocked;
        } else if (yields) {
            hart.queue.put_current(now, sched::PutReason::Yield);
        }
        if (fate == Fate::Stays && needs_fitting(*task)) {
            fit_mask(hart, *task, now);
        }
        if (fate == Fate::Stays && !(is_online && hart.queue.allows(task->entity))) {
            if (hart.queue.current() == nullptr) {
                hart.queue.remove(task->entity, now);  // it yielded
            } else {
                hart.queue.put_current(now, sched::PutReason::Migrate);
            }
            fate = Fate::Evicted;
        }
        if (fate == Fate::Stays && !yields) {
            const Instant event = hart.queue.next_event(now);
            if (event > now) {  // RunQueue::should_resched()
                if (std::exchange(hart.load_is_stale, false)) {
                    publish_load(hart);
                }
                program_timer_for(hart, event);
                return decision;
            }
        }
        if (fate == Fate::Stays || fate == Fate::Evicted) {
            task->run_state.store(RunState::Ready, std::memory_order_relaxed);
        }
    }
    hart.current = nullptr;
    if (is_online) {
        const sched::Pick pick = hart.queue.pick_next(now);
        hart.current = pick.entity == nullptr ? nullptr : &task_of(*pick.entity);
        decision.balance = pick.balance;
    }
    Process* const process = hart.current == nullptr ? nullptr : &hart.current->process();
    if (process != hart.served) {
        serve(hart, process, now);
    }
    if (trace::is_on(nexus_abi::kTraceSched)) [[unlikely]] {
        trace_switch(hart, task, fate, yields, now);
    }
    if (hart.current != nullptr) {
        hart.current->run_state.store(RunState::Running, std::memory_order_relaxed);
        if (needs_fitting(*hart.current)) [[unlikely]] {
            hart.recheck = true;  // looked at again before it runs on
        }
    }
    hart.load_is_stale = false;
    hart.has_company = hart.queue.runnable() > 1;
    publish_load(hart);
    program_timer(hart, now);
    audit(hart);
    return decision;
}

// Ends the waits of those who asked for a mask this task was running outside of; true when nobody is left.
// They came between the first one's interrupt and the end of this hart's kernel section, which is bounded,
// each hart one after the other: their number goes by the harts, not by the tasks there are.
bool end_waits_of_evictors(Task& task) {
    const LockGuard guard{task.evicted.lock()};
    for (Wait* wait = task.evicted.front(); wait != nullptr;) {
        Wait* const following = task.evicted.next(*wait);
        if (claim_wait(*wait)) {
            task.evicted.remove(*wait);
            finish_wait(*wait, static_cast<std::int64_t>(wait->key));
        }
        wait = following;
    }
    return task.evicted.empty();
}

}  // namespace

void release_evictors(Task& task) {
    // Who is still there was killed and claimed a moment ago, and is about to be taken off the queue: the
    // task, which may go away next, has to last until then. The killer holds no lock this hart has.
    while (!end_waits_of_evictors(task)) {
        arch::cpu_relax();
    }
}

namespace {

// The last step of putting a task aside: from here on a waker may run it elsewhere, or end it.
void settle_blocked(Task& task) {
    RunState expected = RunState::Blocking;
    if (!task.run_state.compare_exchange_strong(expected, RunState::Blocked, std::memory_order_acq_rel)) {
        DCHECK(expected == RunState::Woken);
        task.run_state.store(RunState::Ready, std::memory_order_relaxed);
        place(task, sched::EnqueueReason::Wake);
    }
}

// What is left of a decision once the lock is dropped: what becomes of the task that ran ...
void settle_fate(Task& task, Fate fate) {
    switch (fate) {
        case Fate::Stays:
            break;
        case Fate::Blocked:
            settle_blocked(task);
            break;
        case Fate::Evicted:
            place(task, sched::EnqueueReason::Migrate);
            break;
        case Fate::Ended:
            task.run_state.store(RunState::Dead, std::memory_order_release);
            Ref<Task>::adopt(task).reset();  // the reference a live task has of itself
            break;
    }
}

// ... and fairness between harts.
void look_elsewhere(Hart& hart, bool balance) {
    if (balance) {
        balance_after_pick(hart);
    }
    call_for_help(arch::current_cpu());
    if (hart.current != nullptr) {
        const bool is_answered = std::exchange(hart.is_wanted, false) && answer_call(hart);
        // A call that woke it may have been for work elsewhere, and now this hart has its own.
        if (std::exchange(hart.was_called, false) || is_answered) {
            pass_call_on();
        }
    }
}

// Chooses what this hart runs; hart.current is null when there is nothing.
void choose(Hart& hart, Instant now) {
    hart.recheck = false;
    Task* const task = hart.current;
    if (task != nullptr) {
        save_fp_if_dirty(hart, *task);
        if (task->run_state.load(std::memory_order_acquire) == RunState::Blocking) {
            if (task->must_exit.load()) {
                interrupt_wait(*task);  // it was told to end before it began to wait
            } else if ((task->exit_work.load() & Task::kSignalWork) != 0) {
                interrupt_wait_by_signal(*task);
            }
        }
    }
    Ref<Task> evicted;
    const Decision decision = put_and_pick(hart, now, evicted);
    if (evicted) {
        release_evictors(*evicted);
    }
    if (task == nullptr && hart.current != nullptr && is_watching) [[unlikely]] {
        tell_watcher();
    }
    if (task != nullptr) {
        settle_fate(*task, decision.fate);
    }
    if (!has_one_hart) {  // else there is nothing to balance with, nobody to call
        look_elsewhere(hart, decision.balance);
    }
}

void take_pending_interrupts() {
    const std::uint64_t pending = arch::pending_interrupts();
    if ((pending & arch::kPendingSoftware) != 0) {
        handle_ipi();
    }
    if ((pending & arch::kPendingTimer) != 0) {
        handle_timer_interrupt();
    }
    if ((pending & arch::kPendingExternal) != 0) {
        external_interrupt_hook();
    }
}

// Sleeps until there may be something to run; offline, until there is something to send on.
void idle(Hart& hart) {
    const CpuId self = arch::current_cpu();
    leave_address_space(hart);
    // Announce first, look second: a waker that puts a task anywhere after our look sees the announcement
    // (both sides are sequentially consistent) and interrupts us.
    const bool is_online = hart.presence.load(std::memory_order_acquire) == Presence::Online;
    if (is_online) {
        idle_cpus.add(self);
    }
    const bool is_called = has_arrivals(hart);
    const bool has_pulled = !is_called && is_online && pull_when_idle(hart);
    if (!is_called && (is_online ? !has_pulled : leave(hart))) {
        {
            const LockGuard guard{hart.lock};
            forget_answered(hart);
            program_timer(hart, arch::now());
        }
        if (!has_arrivals(hart)) {
            arch::wait_for_interrupt();
        }
    }
    idle_cpus.remove(self);
    hart.was_called = !has_pulled;
    if (has_pulled) {
        pass_call_on();  // not earlier: it would wake itself
    }
    take_pending_interrupts();
    hart.recheck = true;
}

// The last step of a wake-up that may have begun a little early (kWakeAdvance).
void finish_wake_up(Hart& hart, Task& task) {
    Instant now = arch::now();
    while (now < task.due) {
        arch::cpu_relax();
        now = arch::now();
    }
    const LockGuard guard{hart.lock};
    const bool is_timed = task.due != Instant{};
    hart.queue.note_started(now, task.due, is_timed ? task.wait.timer.latest : Instant::never());
    task.due = Instant{};
}

}  // namespace

Task& current_task() {
    Task* const task = this_hart().current;
    DCHECK(task != nullptr);
    return *task;
}

namespace {

// exit_to_user() in any case. Not inlined: the short way keeps less on the stack.
[[gnu::noinline]] arch::TrapFrame* exit_in_any_case(Hart& hart) {
    while (true) {
        if (drain_inbox(hart) || hart.recheck) {
            hart.recheck = true;
            // One instant for all of it: every reading of the clock would be one more accounting.
            Instant now = arch::now();
            if (may_have_expired_timers(hart, now) && expire_timers(hart, now)) {
                take_pending_interrupts();  // more are due: look at the rest of the world in between
                continue;
            }
            if (hart.current != nullptr && linger(hart, *hart.current, now)) {
                now = arch::now();  // others went on meanwhile
            }
            choose(hart, now);
        } else if (hart.current == nullptr) {
            choose(hart, arch::now());
        }
        Task* const task = hart.current;
        if (task == nullptr) {
            idle(hart);
            continue;
        }
        // A call that was woken to run again does so even now: it may have taken a wake-up that others wait
        // for. Should it wait once more, choose() ends the wait.
        if (task->must_exit.load(std::memory_order_relaxed) && !task->exit_begun && !is_to_rerun(*task)) {
            task->resume = nullptr;
            end_killed_task(*task);
            continue;
        }
        if (task->resume != nullptr) {
            // It may take long, and another process may be waiting for this hart to leave its space.
            if (hart.space != nullptr && hart.space != task->process().space_or_null()) {
                leave_address_space(hart);
            }
            const bool is_timed = kTimesShortWays || !is_to_rerun(*task);
            const std::uint64_t number = task->frame.syscall_number();
            if (is_timed) {
                note_section_start();
            }
            std::exchange(task->resume, nullptr)(*task);
            if (is_timed) {
                note_section_end(number);
            }
            // What is left may be long: let others have their turn between two pieces.
            take_pending_interrupts();
            continue;
        }
        if (hart.recheck) {
            continue;
        }
        if (needs_delivery(*task)) [[unlikely]] {
            note_section_start();
            const std::uint64_t number = task->frame.syscall_number();
            deliver_signals(*task);
            note_section_end(number);
            take_pending_interrupts();
            continue;
        }
        load_address_space(hart, *task);
        load_fp(hart, *task);
        if (task->due != Instant{} || task->entity.is_waking()) {
            finish_wake_up(hart, *task);
        }
        return &task->frame;
    }
}

// choose() for a task that yields or begins to wait while others wait for this hart, in the usual case
// (RunQueue::switch_plainly()). False, and nothing done, in others. What is skipped, and why that is sound:
//   the task's end   Looked at first, as choose() does.
//   leaving          A task that must leave this hart has evictors, is to be fitted, or is not allowed here;
//                    the hart is online.
//   the timer        It is set only when it would fire too late. When it fires too early it is set anew: it
//                    does so no more than once for each time it was set.
//   note_started()   is done here, without a second reading of the clock, for who does not wait for an
//                    instant.
bool switch_plainly(Hart& hart, Task& task, Instant now) {
    // Read once: a waker may turn Blocking into Woken at any moment, and settle_blocked() then finds out.
    const bool blocks = task.run_state.load(std::memory_order_acquire) == RunState::Blocking;
    const bool is_online = hart.presence.load(std::memory_order_acquire) == Presence::Online;
    if (blocks == hart.yield_requested || hart.exit_requested || !is_online) {
        return false;
    }
    if (blocks) {
        // Behind the arming of the wait: see begin_wait_in_line().
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (task.must_exit.load(std::memory_order_relaxed) ||
            task.exit_work.load(std::memory_order_relaxed) != 0) {
            return false;
        }
    }
    bool balance = false;
    {
        const SharedLockGuard guard{hart.lock, has_one_hart};
        const bool may_stay = blocks || hart.queue.allows(task.entity);
        sched::RunQueue::Step step;
        if (task.has_evictors || needs_fitting(task) || !may_stay ||
            !hart.queue.switch_plainly(now, blocks ? sched::PutReason::Block : sched::PutReason::Yield,
                                       step)) {
            return false;
        }
        hart.recheck = hart.yield_requested = false;
        save_fp_if_dirty(hart, task);
        balance = step.pick.balance;
        Task* const next = step.pick.entity == nullptr ? nullptr : &task_of(*step.pick.entity);
        hart.current = next;
        if (next != &task) {
            if (!blocks) {
                task.run_state.store(RunState::Ready, std::memory_order_relaxed);
            }
            if (next == nullptr || &next->process() != hart.served) {
                serve(hart, next == nullptr ? nullptr : &next->process(), now);
            }
            if (trace::is_on(nexus_abi::kTraceSched)) [[unlikely]] {
                if (blocks) {
                    write_wait(hart, task, next, now);
                } else {
                    write_plain_switch(hart, next, trace::Fate::Yielded, now);
                }
            }
        }
        if (next != nullptr) {
            next->run_state.store(RunState::Running, std::memory_order_relaxed);
            if (next->entity.is_waking() && next->due == Instant{} && !hart.queue.note_started_at_once(now)) {
                hart.queue.note_started(now);
            }
            // `task` was fitted to the newest change a moment ago.
            if (next->cpu_change != task.cpu_change) [[unlikely]] {
                hart.recheck = true;  // looked at again before it runs on
            }
        }
        hart.load_is_stale = false;
        hart.has_company = hart.queue.runnable_after_decision() > 1;
        publish_load(hart);
        advance_timer(hart, step.event);
        audit(hart);
    }
    if (has_one_hart) {
        if (blocks) {
            // Nobody woke it since it was found to be Blocking, and nobody else sees it.
            task.run_state.store(RunState::Blocked, std::memory_order_relaxed);
        }
        return true;
    }
    if (blocks) {
        settle_blocked(task);
    }
    look_elsewhere(hart, balance);
    return true;
}

}  // namespace

// The short way first: one task follows another, and nothing else is to be done for either. What comes in
// between, like an arrival, interrupts, and is seen to at the next instruction of the program.
arch::TrapFrame* exit_to_user() {
    Hart& hart = this_hart();
    Task* const task = hart.current;
    if (hart.recheck && task != nullptr && hart.arrivals == nullptr) [[likely]] {
        const Instant now = arch::now();
        if (hart.exit_requested) {
            arch::TrapFrame* const frame = end_at_once(hart, *task, now);
            return frame != nullptr ? frame : exit_in_any_case(hart);
        }
        if (!may_have_expired_timers(hart, now) && switch_plainly(hart, *task, now)) [[likely]] {
            Task* const next = hart.current;
            if (!hart.recheck && next != nullptr && !next->must_exit.load(std::memory_order_relaxed) &&
                next->resume == nullptr && next->exit_work.load(std::memory_order_relaxed) == 0 &&
                next->due == Instant{}) [[likely]] {
                load_address_space(hart, *next);
                load_fp(hart, *next);
                return arch::resume(next->frame);
            }
        }
    } else if (has_one_hart && !hart.recheck && task != nullptr && task->resume == nullptr &&
               task->exit_work.load(std::memory_order_relaxed) == 0 && task->due == Instant{} &&
               !task->entity.is_waking()) {
        // Nothing is to be decided, and nothing to be done for it: it made a call that wants a whole frame.
        load_address_space(hart, *task);
        load_fp(hart, *task);
        return &task->frame;
    }
    return exit_in_any_case(hart);
}

void save_fp_for_copy(Task& task) {
    save_fp_if_dirty(this_hart(), task);
}

void leave_address_space(Hart& hart) {
    if (hart.space != nullptr) {
        hart.space->deactivate(arch::current_cpu());  // loads the kernel's own
        hart.space = nullptr;
    }
}

void request_yield() {
    Hart& hart = this_hart();
    if (!hart.has_company && !hart.recheck && !has_arrivals(hart)) {
        // Whoever takes a task from here, or changes one, interrupts; only this hart adds any.
        const LockGuard guard{hart.lock};
        if (hart.queue.yield_alone()) {
            return;
        }
    }
    hart.yield_requested = true;
    hart.recheck = true;
}

void request_reschedule() {
    this_hart().recheck = true;
}

void request_exit() {
    Hart& hart = this_hart();
    hart.exit_requested = true;
    hart.recheck = true;
}

void handle_timer_interrupt() {
    Hart& hart = this_hart();
    count(hart.timer_interrupts);
    trace::note(trace::Kind::Timer, 0, 0);
    {
        const LockGuard guard{hart.lock};
        hart.programmed = kTimerFired;
    }
    hart.recheck = hart.timer_is_new = true;
    poll_if_due();
}

void handle_ipi() {
    Hart& hart = this_hart();
    arch::acknowledge_ipi();
    hart.ipi_pending.exchange(0);  // a full read-modify-write: what is looked at next is no older
    count(hart.ipis_received);
    trace::note(trace::Kind::IpiTaken, 0, 0);
    hart.recheck = hart.is_wanted = true;
    if (is_watching) [[unlikely]] {
        resume_watching();
    }
    ipi_hook();
}

}  // namespace kernel::task
