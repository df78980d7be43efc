// SPDX-License-Identifier: MIT
// What tasks ask for, as system calls of the running task.
#include <algorithm>
#include <utility>

#include "lib/check.hpp"
#include "machine.hpp"

namespace sched_sim {

// A Sleep or Wait begins.
void Machine::note_response(Task& task) {
    if (task.released_at) {
        task.record.response.add(now - *task.released_at);
        task.released_at.reset();
    }
}

void Machine::begin_block(Hart& hart, Task& task) {
    task.run_state = RunState::Blocking;
    hart.recheck = true;
}

// Pre: task is the hart's current one and runs in user mode as far as the scheduler knows.
void Machine::act(Hart& hart, Task& task) {
    const Action action = task.behaviour->next(
        Self{.task = task.index, .now = now, .woken = task.woken_at, .random = task.random});
    switch (action.kind) {
        case Action::Kind::Run:
            task.needs_action = action.duration.ns() <= 0;
            task.work_left = action.duration.ns() * kernel::sched::kCapacityFull;
            break;
        case Action::Kind::RunForever:
            task.needs_action = false;
            task.runs_forever = true;
            break;
        case Action::Kind::Sleep:
        case Action::Kind::SleepUntil: {
            const Instant until = action.kind == Action::Kind::Sleep ? now + action.duration : action.until;
            if (until > now) {
                note_response(task);
                begin_block(hart, task);
                arm_timer(hart, task, until);
            }
            break;
        }
        case Action::Kind::Wait: {
            Semaphore& semaphore = semaphores.at(action.object);
            section();
            if (semaphore.units > 0) {
                --semaphore.units;
            } else {
                note_response(task);
                semaphore.waiters.push_back(&task);
                task.waits_for_semaphore = action.object;
                begin_block(hart, task);
            }
            break;
        }
        case Action::Kind::Post:
            post_semaphore(semaphores.at(action.object));
            break;
        case Action::Kind::Lock:
            lock_mutex(hart, task, action.object);
            break;
        case Action::Kind::Unlock:
            unlock_mutex(task, action.object);
            break;
        case Action::Kind::Yield:
            hart.yield_requested = hart.recheck = true;
            break;
        case Action::Kind::Fork: {
            NewTask& wanted = *action.child;
            Task& child = make_task(std::move(wanted.name), wanted.attributes, std::move(wanted.behaviour));
            child.parent = task.index;
            tell([&](Observer& observer) { observer.on_fork(now, task.index, child.index); });
            start_task(child, &task);
            break;
        }
        case Action::Kind::Call:
            action.call(simulation);
            break;
        case Action::Kind::Exit:
            leave_everything(task);
            hart.exit_requested = hart.recheck = true;
            break;
    }
}

void Machine::post_semaphore(Semaphore& semaphore) {
    section();
    if (semaphore.waiters.empty()) {
        ++semaphore.units;
        return;
    }
    Task& waiter = *semaphore.waiters.front();
    semaphore.waiters.pop_front();
    waiter.waits_for_semaphore = Task::kNoObject;
    wake(waiter);
}

void Machine::lock_mutex(Hart& hart, Task& task, MutexIndex index) {
    Mutex& mutex = mutexes.at(index);
    section();
    if (mutex.owner == nullptr) {
        mutex.owner = &task;
        task.owned.push_back(index);
        return;
    }
    CHECK(mutex.owner != &task);
    mutex.waiters.push_back(&task);
    task.waits_for_mutex = index;
    task.takes_mutex = true;
    begin_block(hart, task);
    update_donations(mutex.owner);
}

// Ownership passes to the waiter of the highest effective class, the longest waiting among equals.
void Machine::unlock_mutex(Task& task, MutexIndex index) {
    Mutex& mutex = mutexes.at(index);
    CHECK(mutex.owner == &task);
    section();
    std::erase(task.owned, index);
    mutex.owner = nullptr;
    Task* heir = nullptr;
    for (Task* waiter : mutex.waiters) {
        if (heir == nullptr || waiter->entity.effective() > heir->entity.effective()) {
            heir = waiter;
        }
    }
    if (heir != nullptr) {
        std::erase(mutex.waiters, heir);
        heir->waits_for_mutex = Task::kNoObject;
        heir->owned.push_back(index);
        mutex.owner = heir;
        update_donations(heir);
    }
    update_donations(&task);
    if (heir != nullptr) {
        wake(*heir);
    }
}

// The task ends a wait without having got what it waits for.
void Machine::cancel_waits(Task& task) {
    if (task.timer.queued) {
        hart_of(task.timer.cpu).timers.remove(task.timer);
    }
    if (task.waits_for_semaphore != Task::kNoObject) {
        std::erase(semaphores.at(task.waits_for_semaphore).waiters, &task);
        task.waits_for_semaphore = Task::kNoObject;
    }
    if (task.waits_for_mutex != Task::kNoObject) {
        Mutex& mutex = mutexes.at(task.waits_for_mutex);
        std::erase(mutex.waiters, &task);
        task.waits_for_mutex = Task::kNoObject;
        update_donations(mutex.owner);
    }
}

// A dying task's locks go to who waits for them.
void Machine::leave_everything(Task& task) {
    while (!task.owned.empty()) {
        unlock_mutex(task, task.owned.back());
    }
}

// What the waiters of a task's mutexes lend it, and what it lends on itself when it waits; docs/scheduler.md.
void Machine::update_donations(Task* owner) {
    constexpr int kChainMax = 8;
    for (int depth = 0; owner != nullptr && depth < kChainMax; ++depth) {
        kernel::sched::Donation donation;
        bool is_any = false;
        for (const MutexIndex index : owner->owned) {
            for (const Task* lender : mutexes.at(index).waiters) {
                const Entity& entity = lender->entity;
                const Duration latency = entity.attributes.latency;
                if (!is_any || entity.effective() > donation.qos_class) {
                    donation.qos_class = entity.effective();
                    donation.budget = entity.budget();
                }
                if (!latency.is_zero() && (donation.latency.is_zero() || latency < donation.latency)) {
                    donation.latency = latency;
                }
                is_any = true;
            }
        }
        set_donation(*owner, donation, is_any);
        owner =
            owner->waits_for_mutex == Task::kNoObject ? nullptr : mutexes.at(owner->waits_for_mutex).owner;
    }
}

void Machine::set_donation(Task& task, const kernel::sched::Donation& donation, bool is_any) {
    section();
    if (task.run_state == RunState::Dead || (!is_any && !task.entity.is_donated())) {
        return;
    }
    Hart& hart = hart_of(task.home);
    if (is_any) {
        hart.queue.set_donation(task.entity, donation, now);
    } else {
        hart.queue.end_donation(task.entity, now);
    }
    publish_load(hart);
    follow_change(hart, false);
}

}  // namespace sched_sim
