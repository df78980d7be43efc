// SPDX-License-Identifier: MIT
#include "machine.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace sched_test {

using kernel::sched::EnqueueReason;
using kernel::sched::PutReason;

Attributes make(QosClass qos_class, std::uint32_t shares, CpuMask mask) {
    Attributes attributes;
    attributes.qos_class = qos_class;
    attributes.shares = shares;
    attributes.affinity = attributes.affinity_effective = mask;
    return attributes;
}

double ratio(Duration a, Duration b) {
    return static_cast<double>(a.ns()) / static_cast<double>(b.ns());
}

Machine::Machine(std::uint32_t harts, Faults faults, Instant start, std::uint32_t second_capacity)
    : start_{start}, now_{start} {
    for (std::uint32_t i = 0; i < harts; ++i) {
        queues_.push_back(std::make_unique<RunQueue>());
        const std::uint32_t capacity = i == 0 ? kernel::sched::kCapacityFull : second_capacity;
        queues_.back()->start(CpuId{i}, start, capacity, faults);
    }
    loads_.resize(harts);
    states_.resize(harts);
}

Machine::~Machine() {
    for (auto& task : tasks_) {
        if (task->entity.state() != TaskState::Dead) {
            exit(*task);
        }
    }
}

Task& Machine::owner(Entity& entity) {
    return static_cast<OwnedEntity&>(entity).owner;
}

Task& Machine::add(const Attributes& attributes, const Behaviour& behaviour) {
    tasks_.push_back(std::make_unique<Task>());
    Task& task = *tasks_.back();
    task.entity.attributes = attributes;
    task.behaviour = behaviour;
    task.left = behaviour.work;
    if (behaviour.first_wake.is_zero()) {
        place(task, EnqueueReason::New);
        settle();
    } else {
        task.wakes_at = now_ + behaviour.first_wake;
    }
    return task;
}

Task& Machine::add_hog(QosClass qos_class, std::uint32_t shares, CpuMask mask) {
    return add(make(qos_class, shares, mask));
}

void Machine::place(Task& task, EnqueueReason reason) {
    CpuMask idle;
    for (const auto& queue : queues_) {
        if (queue->current() == nullptr && queue->runnable() == 0) {
            idle.add(queue->cpu());
        }
    }
    const auto request =
        kernel::sched::placement_request(task.entity.attributes, task.entity.effective(), task.entity.cpu(),
                                         online(), queues_.front()->faults());
    const auto placement =
        kernel::sched::select_cpu(request, idle, [this](CpuId cpu) { return loads_[cpu.value()]; });
    ASSERT_TRUE(request.allowed.contains(placement.cpu));
    if (reason == EnqueueReason::Wake && task.entity.state() == TaskState::Blocked) {
        queues_[task.entity.cpu().value()]->note_woken(task.entity, now_);
    }
    enqueue(task.entity, placement.cpu, reason);
}

void Machine::enqueue(Entity& entity, CpuId cpu, EnqueueReason reason) {
    RunQueue& queue = *queues_[cpu.value()];
    kernel::sched::raise_frame_before(harts_, queue, entity);
    queue.enqueue(entity, now_, reason);
    publish(cpu.value());
}

void Machine::publish(std::uint32_t hart) {
    loads_[hart] = queues_[hart]->load();
    static_cast<void>(balance_.note_load(CpuId{hart}, loads_[hart], online()));
}

Instant Machine::next_event() const {
    Instant event = Instant::never();
    for (const auto& queue : queues_) {
        event = min(event, queue->next_event(now_));
        if (Entity* current = queue->current(); current != nullptr) {
            const Task& task = owner(*current);
            if (!task.behaviour.work.is_zero()) {
                event = min(event, now_ + task.left);
            }
        }
    }
    for (const auto& task : tasks_) {
        if (task->entity.state() == TaskState::Blocked) {
            event = min(event, task->wakes_at);
        }
    }
    return event;
}

void Machine::run_until(Instant end) {
    settle();
    while (now_ < end) {
        const Instant next = min(end, std::max(next_event(), now_));
        const Duration step = next - now_;
        now_ = next;
        ++events_;
        for (auto& queue : queues_) {
            Entity* current = queue->current();
            if (current == nullptr) {
                continue;
            }
            Task& task = owner(*current);
            if (task.behaviour.work.is_zero()) {
                continue;
            }
            task.left -= step;
            if (task.left.is_zero()) {
                queue->put_current(now_, PutReason::Block);
                task.wakes_at = now_ + task.behaviour.rest;
                task.left = task.behaviour.work;
                publish(queue->cpu().value());
            }
        }
        settle();
    }
    for (auto& queue : queues_) {
        queue->charge_current(now_);
    }
}

void Machine::settle() {
    for (auto& task : tasks_) {
        if (task->entity.state() == TaskState::Blocked && task->wakes_at <= now_) {
            place(*task, EnqueueReason::Wake);
        }
    }
    // What one hart does may give another something to decide.
    for (bool is_settled = false; !is_settled;) {
        is_settled = true;
        for (std::uint32_t hart = 0; hart < queues_.size(); ++hart) {
            const bool is_idle = queues_[hart]->current() == nullptr;
            if (queues_[hart]->should_resched(now_) || (is_idle && !balance_.overloaded().empty())) {
                pick(hart);
                is_settled = is_settled && queues_[hart]->current() == nullptr;
            }
        }
    }
    audit();
}

void Machine::pick(std::uint32_t hart) {
    RunQueue& queue = *queues_[hart];
    for (;;) {
        const kernel::sched::Pick pick = queue.pick_next(now_);
        publish(hart);
        const bool is_changed =
            pick.entity == nullptr
                ? kernel::sched::idle_pull(harts_, CpuId{hart}, states_[hart])
                : pick.balance && kernel::sched::balance(harts_, CpuId{hart}, states_[hart]);
        if (!is_changed) {
            if (queue.current() != nullptr) {
                queue.note_started(now_);
            }
            return;
        }
    }
}

std::uint64_t Machine::steals() const {
    std::uint64_t sum = 0;
    for (const auto& state : states_) {
        sum += state.idle_pulls;
    }
    return sum;
}

void Machine::set(Task& task, const Attributes& attributes) {
    RunQueue& queue = *queues_[task.entity.cpu().value()];
    const bool was_running = task.entity.state() == TaskState::Running;
    if (queue.set_attributes(task.entity, attributes, now_)) {
        if (was_running) {
            queue.put_current(now_, PutReason::Migrate);
        } else {
            queue.remove(task.entity, now_);
        }
        place(task, EnqueueReason::Migrate);
    }
    publish(queue.cpu().value());
    settle();
}

void Machine::set_shares(Task& task, std::uint32_t shares) {
    Attributes attributes = task.entity.attributes;
    attributes.shares = shares;
    set(task, attributes);
}

void Machine::exit(Task& task) {
    RunQueue& queue = *queues_[task.entity.cpu().value()];
    if (task.entity.state() == TaskState::Running) {
        queue.put_current(now_, PutReason::Exit);
    } else {
        if (task.entity.state() == TaskState::Queued || task.entity.state() == TaskState::Throttled) {
            queue.remove(task.entity, now_);
        }
        RunQueue::retire(task.entity, now_);
    }
    publish(queue.cpu().value());
    settle();
}

void Machine::yield(std::uint32_t hart) {
    queues_[hart]->put_current(now_, PutReason::Yield);
    pick(hart);
    audit();
}

void Machine::mark() {
    for (auto& task : tasks_) {
        task->mark = task->entity.runtime(now_);
    }
}

void Machine::audit() {
    if (!audits_) {
        return;
    }
    for (auto& queue : queues_) {
        const auto violation = kernel::sched::Auditor::check(*queue);
        ASSERT_FALSE(violation.found())
            << violation.rule << " on cpu" << queue->cpu().value() << " at " << now_.ns();
        const Entity* current = queue->current();
        ASSERT_TRUE(current == nullptr || queue->allows(*current)) << "S9: a task runs outside its mask";
        for (auto& other : queues_) {
            ASSERT_FALSE(current == nullptr && other->load().offers_work_to(queue->cpu()))
                << "S10: cpu" << queue->cpu().value() << " idles while work for it waits on cpu"
                << other->cpu().value();
        }
    }
}

void Machine::expect_exact_accounts() {
    Duration busy;
    for (auto& queue : queues_) {
        queue->charge_current(now_);
        EXPECT_EQ((queue->busy() + queue->idle()).ns(), (now_ - start_).ns());
        busy += queue->busy();
    }
    Duration charged;
    for (auto& task : tasks_) {
        Duration by_cpu;
        for (std::uint32_t cpu = 0; cpu < task->entity.cpus_kept(); ++cpu) {
            by_cpu += task->entity.runtime_on(CpuId{cpu});
        }
        EXPECT_EQ(by_cpu.ns(), task->entity.statistics().runtime.ns());
        charged += by_cpu;
    }
    EXPECT_EQ(busy.ns(), charged.ns());
}

}  // namespace sched_test
