// SPDX-License-Identifier: MIT
// What a hart does from kernel entry until it is back in user mode or asleep: kernel/task/dispatcher.cpp,
// step by step.
#include <algorithm>
#include <utility>

#include "lib/check.hpp"
#include "machine.hpp"

namespace sched_sim {
namespace {

// A behaviour that asks for this many actions without letting time pass is stuck.
constexpr std::uint32_t kActionsPerInstant = 100'000;

enum class Fate : std::uint8_t { Stays, Blocked, Evicted, Ended };

}  // namespace

class ExitPath {
  public:
    ExitPath(Machine& machine, Hart& hart) : machine_{machine}, hart_{hart} {}
    void choose();

  private:
    Fate put(Task& task, bool yields, bool ends);
    void call_and_answer();
    void note_switch(Task* previous, bool switched);
    void note_throttling(Task* previous);
    void end(Task& task);

    Machine& machine_;
    Hart& hart_;
};

void Machine::enter_kernel(Hart& hart) {
    note_progress(hart);
    const CpuId cpu = hart.queue.cpu();
    if (hart.asleep) {
        hart.asleep = false;
        idle.remove(cpu);
        hart.recheck = true;
        hart.was_called = true;
    }
    if (hart.ipi_at <= now) {
        hart.ipi_at = Instant::never();
        hart.ipi_pending = false;
        ++hart.record.ipis_received;
        hart.recheck = hart.is_wanted = true;
        tell([&](Observer& observer) { observer.on_ipi(now, cpu); });
    }
    if (hart.timer_at <= now) {
        hart.timer_at = hart.programmed = Instant::never();
        ++hart.record.timer_interrupts;
        hart.recheck = true;
        tell([&](Observer& observer) { observer.on_timer(now, cpu); });
    }
    if (hart.current != nullptr) {
        Task& task = *hart.current;
        if (!task.needs_action && !task.runs_forever && task.work_left == 0) {
            task.needs_action = true;
            ++task.record.completions;
        }
    }
    exit_to_user(hart);
    hart.progress_at = now;
}

void Machine::exit_to_user(Hart& hart) {
    while (violation.empty()) {
        if (drain_inbox(hart) || hart.recheck) {
            hart.recheck = true;
            expire_timers(hart);
        }
        if (hart.recheck || hart.current == nullptr) {
            ExitPath{*this, hart}.choose();
        }
        Task* const task = hart.current;
        if (task == nullptr) {
            if (hart.recheck) {
                continue;  // what it was about to run was pushed to another hart
            }
            if (!look_for_work(hart)) {
                return;
            }
            continue;
        }
        if (task->must_exit && !hart.exit_requested) {
            leave_everything(*task);
            hart.exit_requested = hart.recheck = true;
            continue;
        }
        if (hart.recheck) {
            continue;
        }
        if (!task->needs_action || !task->overhead_left.is_zero()) {
            return;
        }
        task->actions_now = task->acted_at == now ? task->actions_now + 1 : 0;
        task->acted_at = now;
        if (task->actions_now > kActionsPerInstant) {
            fail("the behaviour of " + task->name + " lets no time pass");
            return;
        }
        act(hart, *task);
    }
}

// The idle loop: announces, looks, and goes to sleep when there is nothing.
bool Machine::look_for_work(Hart& hart) {
    const CpuId cpu = hart.queue.cpu();
    idle.add(cpu);
    section();
    const bool found = hart.inbox.empty() && idle_pull(hart);
    if (!found && hart.inbox.empty()) {
        section();
        program_timer(hart);
        if (hart.inbox.empty()) {
            hart.asleep = true;
            return false;
        }
    }
    idle.remove(cpu);
    hart.was_called = !found;
    if (found) {
        pass_call_on();
    }
    hart.recheck = true;
    return true;
}

void Machine::program_timer(Hart& hart) {
    const Instant wanted = min(hart.queue.next_event(now), hart.timers.next_interrupt());
    if (wanted != hart.programmed) {
        hart.programmed = wanted;
        hart.timer_at = std::max(wanted, now).plus_saturating(config.timer_latency);
    }
}

void Machine::arm_timer(Hart& hart, Task& task, Instant deadline) {
    section();
    const bool is_lax = task.entity.effective() <= QosClass::Normal;
    task.timer.cpu = hart.queue.cpu();
    hart.timers.add(task.timer, deadline, is_lax ? kernel::task::kTimerSlack : Duration{});
    hart.recheck = true;
}

void Machine::expire_timers(Hart& hart) {
    section();
    while (kernel::task::Timer* timer = hart.timers.pop_expired(now)) {
        wake(static_cast<Task::OwnedTimer*>(timer)->owner);
    }
}

// Takes the current task off the hart if it may not go on here.
Fate ExitPath::put(Task& task, bool yields, bool ends) {
    RunQueue& queue = hart_.queue;
    const Instant now = machine_.now;
    Fate fate = Fate::Stays;
    if (ends) {
        queue.put_current(now, PutReason::Exit);
        fate = Fate::Ended;
    } else if (task.run_state == RunState::Woken) {
        task.run_state = RunState::Running;  // the wake-up came before it was put aside
    } else if (task.run_state == RunState::Blocking) {
        queue.put_current(now, PutReason::Block);
        fate = Fate::Blocked;
    } else if (yields) {
        queue.put_current(now, PutReason::Yield);
    }
    if (fate == Fate::Stays && !queue.allows(task.entity)) {
        if (queue.current() == nullptr) {
            queue.remove(task.entity, now);
        } else {
            queue.put_current(now, PutReason::Migrate);
        }
        fate = Fate::Evicted;
    }
    return fate;
}

void ExitPath::choose() {
    hart_.recheck = false;
    Task* const task = hart_.current;
    if (task != nullptr && task->run_state == RunState::Blocking && task->must_exit) {
        machine_.cancel_waits(*task);
        machine_.wake(*task);
    }
    machine_.section();
    const bool yields = std::exchange(hart_.yield_requested, false);
    const bool ends = std::exchange(hart_.exit_requested, false);
    Fate fate = Fate::Stays;
    const Instant now = machine_.now;
    if (task != nullptr) {
        fate = put(*task, yields, ends);
        if (fate == Fate::Stays && !yields && !hart_.queue.should_resched(now)) {
            if (hart_.load_is_stale) {
                machine_.publish_load(hart_);
            }
            machine_.program_timer(hart_);
            call_and_answer();
            return;
        }
        if (fate == Fate::Stays || fate == Fate::Evicted) {
            task->run_state = RunState::Ready;
        }
    }
    const kernel::sched::Pick pick = hart_.queue.pick_next(now);
    hart_.current = pick.entity == nullptr ? nullptr : &Machine::task_of(*pick.entity);
    if (hart_.current != nullptr) {
        hart_.current->run_state = RunState::Running;
    }
    note_switch(task, pick.switched);
    note_throttling(task);
    machine_.publish_load(hart_);
    machine_.program_timer(hart_);
    switch (fate) {
        case Fate::Stays:
            break;
        case Fate::Blocked:
            machine_.settle_blocked(*task);
            break;
        case Fate::Evicted:
            task->move_reason = MoveReason::Evict;
            machine_.place(*task, EnqueueReason::Migrate);
            break;
        case Fate::Ended:
            end(*task);
            break;
    }
    if (machine_.balance(hart_, pick)) {
        hart_.recheck = true;
    }
    call_and_answer();
}

// Others may have work for this hart, or the other way round.
void ExitPath::call_and_answer() {
    machine_.call_for_help(hart_);
    if (hart_.current == nullptr) {
        return;
    }
    const bool is_answered = std::exchange(hart_.is_wanted, false) && machine_.answer_call(hart_);
    hart_.recheck = hart_.recheck || is_answered;
    // A call that woke it may have been for work elsewhere, and now this hart has its own.
    if (std::exchange(hart_.was_called, false) || is_answered) {
        machine_.pass_call_on();
    }
}

// The last step of putting a task aside: from here on a waker may run it elsewhere.
void Machine::settle_blocked(Task& task) {
    section();
    tell([&](Observer& observer) { observer.on_sleep(now, task.index); });
    if (task.run_state == RunState::Blocking) {
        task.run_state = RunState::Blocked;
        return;
    }
    CHECK(task.run_state == RunState::Woken);
    task.run_state = RunState::Ready;
    place(task, EnqueueReason::Wake);
}

void ExitPath::end(Task& task) {
    task.run_state = RunState::Dead;
    machine_.set_budget(task, nullptr);
    machine_.set_group(task, nullptr);
    machine_.tell([&](Observer& observer) { observer.on_exit(machine_.now, task.index); });
}

void ExitPath::note_switch(Task* previous, bool switched) {
    Task* const task = hart_.current;
    if (task == previous) {
        return;
    }
    const Instant now = machine_.now;
    hart_.progress_at = now;
    if (previous != nullptr && previous->run_state == RunState::Ready) {
        previous->waits = true;
        previous->waits_since = now;
    }
    const auto index = task == nullptr ? kNoTask : task->index;
    machine_.mix(static_cast<std::uint64_t>(now.ns()));
    machine_.mix((std::uint64_t{hart_.queue.cpu().value()} << 32U) | index);
    if (task != nullptr) {
        if (task->waits) {
            task->waits = false;
            task->record.wait.add(now - task->waits_since);
        }
        if (task->wake_pending) {
            task->wake_pending = false;
            const Duration work_after = switched ? machine_.config.switch_cost : Duration{};
            task->record.wake_latency.add(now - task->woken_at + work_after);
            hart_.queue.note_started(now + work_after);
        }
        task->ran_on = hart_.queue.cpu();
        if (switched) {
            ++hart_.record.switches;
            task->overhead_left = machine_.config.switch_cost;
        }
    }
    const auto before = previous == nullptr ? kNoTask : previous->index;
    machine_.tell([&](Observer& observer) { observer.on_switch(now, hart_.queue.cpu(), before, index); });
}

// Who ran out of budget, and whose budget came back, since the last look at this hart.
void ExitPath::note_throttling(Task* previous) {
    const Instant now = machine_.now;
    if (previous != nullptr && previous->entity.state() == TaskState::Throttled &&
        !previous->throttled_here) {
        previous->throttled_here = true;
        previous->waits = false;
        previous->throttled_since = now;
        hart_.throttled.push_back(previous);
        machine_.tell([&](Observer& observer) { observer.on_throttle(now, previous->index, true); });
    }
    std::erase_if(hart_.throttled, [&](Task* task) {
        if (task->entity.state() == TaskState::Throttled) {
            return false;
        }
        task->throttled_here = false;
        task->record.throttled += now - task->throttled_since;
        if (task != hart_.current) {
            task->waits = true;
            task->waits_since = now;
        }
        machine_.tell([&](Observer& observer) { observer.on_throttle(now, task->index, false); });
        return true;
    });
}

}  // namespace sched_sim
