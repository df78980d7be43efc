// SPDX-License-Identifier: MIT
// Where runnable tasks go: placement, inboxes, IPIs, balancing; kernel/task/wake.cpp, step by step.
#include <algorithm>
#include <utility>

#include "lib/check.hpp"
#include "machine.hpp"
#include "sched/placement.hpp"

namespace sched_sim {

void Machine::publish_load(Hart& hart) {
    hart.load_is_stale = false;
    hart.load = hart.queue.load();
    if (shared.note_load(hart.queue.cpu(), hart.load, online)) {
        if (&hart == self) {
            hart.is_wanted = true;
        } else {
            kick(hart.queue.cpu());
        }
    }
}

void Machine::kick(CpuId cpu) {
    Hart& hart = hart_of(cpu);
    if (&hart == self) {
        hart.recheck = true;
        return;
    }
    if (!hart.ipi_pending) {
        hart.ipi_pending = true;
        hart.ipi_at = now + config.ipi_latency;
        plan(hart);
    }
}

// Something waits on `hart` that a sleeping hart may run, or one that runs a lower class: interrupts one of
// those. True when there was one.
bool Machine::call_for_help(const Hart& hart) {
    const CpuId cpu = hart.queue.cpu();
    CpuMask waiting;
    for (const CpuMask mask : hart.load.waiting_mask) {
        waiting = waiting | mask;
    }
    const CpuMask sleepers = shared.overloaded().contains(cpu) ? waiting & idle : CpuMask{};
    if (!sleepers.empty()) {
        const CpuId taker = sleepers.lowest();
        idle.remove(taker);
        kick(taker);
        return true;
    }
    if (config.faults.no_balance || !shared.may_have_takers(cpu)) {
        return false;
    }
    const CpuMask takers = shared.takers(cpu, hart.load);
    if (!takers.empty()) {
        kick(takers.lowest());
    }
    return !takers.empty();
}

// An overloaded hart calls one other each time it decides. One that found work passes the call on, so all of
// them come, whatever the overloaded hart does meanwhile.
void Machine::pass_call_on() {
    CpuMask overloaded = shared.overloaded();
    // Reads loads and locks nothing, so it may ask all of them: the first ones may have nothing for the
    // others.
    while (!overloaded.empty()) {
        const CpuId cpu = overloaded.lowest();
        overloaded.remove(cpu);
        if (call_for_help(hart_of(cpu))) {
            return;
        }
    }
}

void Machine::enqueue_here(Hart& hart, Task& task) {
    const CpuId cpu = hart.queue.cpu();
    HartsView view{*this};
    raise_frame_before(view, hart.queue, task.entity);
    static_cast<void>(hart.queue.enqueue(task.entity, now, task.enqueue_reason));
    hart.recheck = hart.load_is_stale = true;  // others see it when the hart decides
    if (task.ran_on && *task.ran_on != cpu && task.enqueue_reason != EnqueueReason::New) {
        const CpuId from = *task.ran_on;
        tell([&](Observer& observer) { observer.on_migrate(now, task.index, from, cpu, task.move_reason); });
    }
}

void Machine::send_to(CpuId cpu, Task& task) {
    section();
    hart_of(cpu).inbox.push_back(&task);
    kick(cpu);
}

// Sends a task that is on no queue (Ready) to the hart it should run on.
void Machine::place(Task& task, EnqueueReason reason) {
    CHECK(task.run_state == RunState::Ready);
    section();
    Hart& home = hart_of(task.home);
    if (task.entity.state() == TaskState::Blocked) {
        if (reason == EnqueueReason::Wake) {
            home.queue.note_woken(task.entity, now);
            task.woken_at = now;
            task.wake_pending = true;
        } else {
            RunQueue::note_created(task.entity, now);
        }
        task.waits = true;
        task.waits_since = now;
    }
    if (!task.waits) {
        task.waits = true;  // evicted while it ran
        task.waits_since = now;
    }
    task.enqueue_reason = reason;
    const auto request =
        kernel::sched::placement_request(task.entity.attributes, task.entity.effective(), home.queue.cpu(),
                                         online, home.queue.faults(), shape);
    const auto placement =
        kernel::sched::select_cpu(request, idle, [this](CpuId cpu) { return hart_of(cpu).load; });
    if (placement.is_idle) {
        idle.remove(placement.cpu);
    }
    if (reason == EnqueueReason::Wake) {
        tell([&](Observer& observer) { observer.on_wake(now, task.index, placement.cpu); });
    }
    const bool is_self = self != nullptr && self->queue.cpu() == placement.cpu;
    const bool was_home = task.home == placement.cpu;
    task.home = placement.cpu;
    if (!is_self) {
        send_to(placement.cpu, task);
    } else if (was_home) {
        enqueue_here(*self, task);
    } else {
        static_cast<void>(take_in(*self, task));
    }
}

bool Machine::take_in(Hart& hart, Task& task) {
    section();
    if (hart.queue.allows(task.entity) && online.contains(hart.queue.cpu())) {
        enqueue_here(hart, task);
        return true;
    }
    place(task, task.enqueue_reason);
    return false;
}

bool Machine::drain_inbox(Hart& hart) {
    if (hart.inbox.empty()) {
        return false;
    }
    section();
    std::vector<Task*> taken;
    taken.swap(hart.inbox);
    while (!taken.empty()) {
        Task* const task = taken.back();
        taken.pop_back();
        static_cast<void>(take_in(hart, *task));
    }
    return true;
}

// Called under the lock of the queue the entity was just taken off.
void Machine::HartsView::set_home(Entity& entity, CpuId cpu) const {
    Task& task = task_of(entity);
    Hart& from = machine_.hart_of(task.home);
    task.home = cpu;
    if (from.current != &task) {
        return;
    }
    // A hart pushes the task it was about to run.
    from.current = nullptr;
    from.progress_at = machine_.now;
    task.run_state = RunState::Ready;
    task.waits = true;
    task.waits_since = machine_.now;
    machine_.tell(
        [&](Observer& observer) { observer.on_switch(machine_.now, from.queue.cpu(), task.index, kNoTask); });
}

void Machine::HartsView::send(Entity& entity, CpuId cpu) {
    Task& task = task_of(entity);
    task.enqueue_reason = EnqueueReason::Migrate;
    Hart* const here = machine_.self;
    if (here == nullptr || here->queue.cpu() != cpu) {
        task.move_reason = MoveReason::Push;
        machine_.send_to(cpu, task);
        return;
    }
    const Entity* const picked = here->queue.current();
    task.move_reason = picked == nullptr                          ? MoveReason::IdlePull
                       : picked->effective() < entity.effective() ? MoveReason::ClassPull
                                                                  : MoveReason::PickPull;
    static_cast<void>(machine_.take_in(*here, task));
}

bool Machine::idle_pull(Hart& hart) {
    HartsView view{*this};
    return kernel::sched::idle_pull(view, hart.queue.cpu(), hart.balance);
}

bool Machine::answer_call(Hart& hart) {
    HartsView view{*this};
    return config.balancing && !config.faults.no_balance &&
           kernel::sched::answer_call(view, hart.queue.cpu(), hart.balance);
}

bool Machine::balance(Hart& hart, const kernel::sched::Pick& pick) {
    if (!config.balancing || config.faults.no_balance || !pick.balance || pick.entity == nullptr) {
        return false;
    }
    HartsView view{*this};
    return kernel::sched::balance(view, hart.queue.cpu(), hart.balance);
}

void Machine::wake(Task& task) {
    if (!std::exchange(task.takes_mutex, false)) {
        task.released_at = now;
    }
    if (task.run_state == RunState::Blocking) {
        task.run_state = RunState::Woken;
        return;
    }
    CHECK(task.run_state == RunState::Blocked);
    task.run_state = RunState::Ready;
    task.move_reason = MoveReason::Wake;
    place(task, EnqueueReason::Wake);
}

void Machine::start_task(Task& task, Task* parent) {
    task.run_state = RunState::Ready;
    if (task.entity.attributes.budget.is_capped()) {
        const bool is_shared = parent != nullptr && parent->budget != nullptr &&
                               (task.entity.attributes.flags & nexus_abi::kAttrInheritBudget) != 0;
        auto budget = is_shared ? parent->budget : std::make_shared<kernel::sched::Budget>();
        if (!is_shared) {
            budget->configure(task.entity.attributes.budget, now);
        }
        set_budget(task, std::move(budget));
    }
    if (parent != nullptr && parent->group != nullptr) {
        set_group(task, parent->group);
    }
    if (parent != nullptr && parent->run_state == RunState::Running) {
        Hart& hart = hart_of(parent->home);
        task.home = parent->home;
        section();
        hart.queue.charge_current(now);
        hart.queue.inherit_position(task.entity, parent->entity);
    } else {
        task.home = (task.entity.attributes.affinity_effective & online).lowest();
    }
    place(task, EnqueueReason::New);
}

}  // namespace sched_sim
