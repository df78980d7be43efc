// SPDX-License-Identifier: MIT
// Changes from outside a task: attributes (kernel/task/attributes.cpp), kill, harts that go and come.
#include <algorithm>
#include <utility>

#include "lib/check.hpp"
#include "machine.hpp"
#include "sched/params.hpp"

namespace sched_sim {

void Machine::set_attributes(Task& task, const Attributes& attributes) {
    section();
    if (task.run_state == RunState::Dead) {
        return;
    }
    if (!(attributes.budget == task.entity.attributes.budget)) {
        auto budget = attributes.budget.is_capped() ? std::make_shared<kernel::sched::Budget>() : nullptr;
        if (budget != nullptr) {
            budget->configure(attributes.budget, now);
        }
        set_budget(task, std::move(budget));
    }
    Hart& hart = hart_of(task.home);
    const bool must_leave = hart.queue.set_attributes(task.entity, attributes, now);
    bool was_waiting = false;
    bool needs_kick = false;
    if (must_leave && hart.queue.current() == &task.entity) {
        needs_kick = true;
    } else if (must_leave) {
        hart.queue.remove(task.entity, now);
        task.run_state = RunState::Ready;
        was_waiting = true;
    }
    publish_load(hart);
    tell([&](Observer& observer) { observer.on_attributes(now, task.index); });
    if (was_waiting) {
        task.move_reason = MoveReason::Evict;
        place(task, EnqueueReason::Migrate);
        return;
    }
    follow_change(hart, needs_kick);
    call_for_help(hart);
}

void Machine::follow_change(Hart& hart, bool needs_kick) {
    if (&hart == self) {
        hart.recheck = true;
    } else if (needs_kick || hart.queue.next_event(now) < hart.programmed) {
        kick(hart.queue.cpu());
    }
}

void Machine::set_budget(Task& task, std::shared_ptr<kernel::sched::Budget> budget) {
    if (budget == task.budget) {
        return;
    }
    Hart& hart = hart_of(task.home);
    hart.queue.set_budget(task.entity, budget.get(), now);
    task.budget = std::move(budget);
    publish_load(hart);
    follow_change(hart, false);
}

void Machine::set_group(Task& task, std::shared_ptr<kernel::sched::Group> group) {
    if (group == task.group) {
        return;
    }
    Hart& hart = hart_of(task.home);
    hart.queue.set_group(task.entity, group.get(), now);
    task.group = std::move(group);
    publish_load(hart);
    follow_change(hart, false);
}

void Machine::kill(Task& task) {
    if (task.run_state == RunState::Dead || task.must_exit) {
        return;
    }
    task.must_exit = true;
    if (task.run_state == RunState::Blocked) {
        cancel_waits(task);
        wake(task);
    } else if (hart_of(task.home).current == &task) {
        kick(task.home);
    }
}

// Everyone's effective mask follows the harts that are online; who may not stay where it is moves.
void Machine::refit_masks() {
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        Task& task = *tasks[i];
        if (task.run_state == RunState::Dead) {
            continue;
        }
        const Attributes& current = task.entity.attributes;
        const kernel::sched::Refit refit =
            kernel::sched::refit_affinity(current, task.entity.limits.affinity_limit, online);
        if (!(refit.attributes == current)) {
            set_attributes(task, refit.attributes);
        }
    }
}

void Machine::offline(CpuId cpu) {
    CHECK(online.contains(cpu) && online.count() > 1);
    online.remove(cpu);
    idle.remove(cpu);
    refit_masks();
    publish_load(hart_of(cpu));
    shared.forget(cpu);
    tell([&](Observer& observer) { observer.on_online(now, cpu, false); });
}

void Machine::online_again(CpuId cpu) {
    CHECK(cpu.value() < config.harts && !online.contains(cpu));
    online.add(cpu);
    tell([&](Observer& observer) { observer.on_online(now, cpu, true); });
    kick(cpu);  // it looks for work by itself
    refit_masks();
}

}  // namespace sched_sim
