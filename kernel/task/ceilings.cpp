// SPDX-License-Identifier: MIT
// Budgets and groups of tasks: who has which, and how that follows a setter.
#include <utility>

#include "arch/contract.hpp"
#include "task/dispatcher.hpp"
#include "task/hart.hpp"
#include "task/lifecycle.hpp"
#include "task/process.hpp"
#include "task/shared.hpp"
#include "task/task_table.hpp"

namespace kernel::task {

namespace {

// Tasks looked at in one kernel section.
constexpr std::uint32_t kTasksPerRound = 16;

// Makes `process` count for `ceiling` shares. True when its tasks are to be moved to another group.
Result<bool> change_group(Process& process, std::uint32_t ceiling) {
    Ref<SharedGroup> made;
    if (ceiling != 0) {
        made = TRY(SharedGroup::create(process.pid(), ceiling));
    }
    const LockGuard guard{family_lock()};
    if (ceiling != 0 && process.group && process.group->head == process.pid()) {
        process.group->group.set_ceiling(ceiling);
        return false;
    }
    const bool had_none = !process.group;
    std::swap(process.group, made);  // the old one goes with `made`, after the lock
    return !(had_none && ceiling == 0);
}

Ref<SharedGroup> group_of(Process& process) {
    const LockGuard guard{family_lock()};
    return process.group.clone();
}

}  // namespace

// ---- Budgets ----

Result<void> provide_budget(Task& task) {
    if (!task.own_budget) {
        task.own_budget = TRY(SharedBudget::create());
    }
    return {};
}

void follow_budget(Hart& home, Task& task, Instant now) {
    const sched::Attributes& attributes = task.entity.attributes;
    sched::Budget* budget = nullptr;
    if (task.must_exit.load(std::memory_order_relaxed) || task.exit_begun) {
        // Its end is not put off.
    } else if (attributes.budget_shared) {
        budget = task.inherited_budget ? &task.inherited_budget->budget : nullptr;
    } else if (attributes.budget.is_capped()) {
        budget = &task.own_budget->budget;
        if (budget->params() != attributes.budget) {
            budget->configure(attributes.budget, now);
        }
    }
    // Most have none and get none: there is nothing to account for.
    if (budget != nullptr || has_budget(task)) {
        home.queue.set_budget(task.entity, budget, now);
    }
}

Result<void> inherit_shared(Task& child, Task* parent) {
    const sched::Attributes& attributes = child.entity.attributes;
    if (attributes.budget_shared && parent != nullptr) {
        child.inherited_budget = with_home(*parent, [&](Hart&, CpuId) {
            return parent->entity.attributes.budget_shared ? parent->inherited_budget.clone()
                                                           : parent->own_budget.clone();
        });
    } else if (attributes.budget.is_capped()) {
        TRY(provide_budget(child));
    }
    return {};
}

Result<std::uint32_t> book_budget(Task& task, std::uint32_t ppm, CpuMask cpus) {
    TRY(provide_budget(task));
    return task.own_budget->book(ppm, cpus);
}

void unbook_budget(Task& task) {
    if (task.own_budget) {
        task.own_budget->unbook();
    }
}

// ---- Groups ----

void follow_group(Task& task) {
    Ref<SharedGroup> group = group_of(task.process());
    with_home(task, [&](Hart& hart, CpuId) NO_THREAD_SAFETY_ANALYSIS {
        if (task.group.get() != group.get()) {
            hart.queue.set_group(task.entity, group ? &group->group : nullptr, arch::now());
            std::swap(task.group, group);
            publish_load(hart);
        }
        return 0;
    });
}

SysResult set_group_ceiling(Task& caller, Process& process, std::uint32_t ceiling) {
    if (caller.call_progress == 0) {
        const auto is_moving = change_group(process, ceiling);
        if (!is_moving.ok()) {
            return is_moving.error();
        }
        if (!*is_moving) {
            return std::uint64_t{0};
        }
        caller.call_progress = 1;
    }
    // Every task there is, a few at a time: those of the process are among them.
    for (std::uint32_t i = 0; i < kTasksPerRound; ++i) {
        const Ref<Task> task = lookup_next_task(TaskId{static_cast<std::uint32_t>(caller.call_progress - 1)});
        if (!task) {
            return std::uint64_t{0};
        }
        caller.call_progress = std::uint64_t{task->tid().value()} + 1;
        if (&task->process() == &process) {
            follow_group(*task);
        }
    }
    return SysResult::again();
}

void detach_shared(Hart& hart, Task& task, Instant now) {
    if (task.entity.budget() != nullptr) {
        hart.queue.set_budget(task.entity, nullptr, now);
    }
    if (task.entity.group() != nullptr) {
        hart.queue.set_group(task.entity, nullptr, now);
    }
}

}  // namespace kernel::task
