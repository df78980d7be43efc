// SPDX-License-Identifier: MIT
// The engine's invariants; numbers I1 to I17 as in docs/scheduler.md.
#include <algorithm>
#include <string>

#include "machine.hpp"
#include "sched/auditor.hpp"

namespace sched_sim {
namespace {

std::string on(const Hart& hart) {
    return " on cpu" + std::to_string(hart.queue.cpu().value());
}

}  // namespace

std::string Machine::audit() const {
    for (const auto& hart : harts) {
        if (std::string found = check_hart(*hart); !found.empty()) {
            return found;
        }
    }
    for (const auto& check : {&Machine::check_places, &Machine::check_idle_harts, &Machine::check_accounts}) {
        if (std::string found = (this->*check)(); !found.empty()) {
            return found;
        }
    }
    return {};
}

std::string Machine::check_hart(const Hart& hart) const {
    const kernel::sched::Violation found = kernel::sched::Auditor::check(hart.queue);
    if (found.found()) {
        const std::string who = found.entity == nullptr ? "" : " of " + task_of(*found.entity).name;
        return found.rule + who + on(hart);
    }
    if (hart.in_kernel || hart.current == nullptr) {
        return {};
    }
    // In user mode: allowed there, unless the IPI that evicts it is on its way.
    if (!hart.queue.allows(hart.current->entity) && !hart.ipi_pending && !config.faults.ignore_affinity) {
        return "I1: " + hart.current->name + " runs outside its mask" + on(hart);
    }
    if (hart.queue.current() != &hart.current->entity) {
        return "I2: the hart runs " + hart.current->name + " and its queue something else" + on(hart);
    }
    return {};
}

// Each live task is in exactly one place.
std::string Machine::check_places() const {
    std::vector<std::uint8_t> inboxes(tasks.size());
    bool is_someone_between = resumes_intervention;
    for (const auto& hart : harts) {
        is_someone_between = is_someone_between || hart->in_kernel;
        for (const Task* task : hart->inbox) {
            ++inboxes[task->index];
        }
    }
    for (const auto& task : tasks) {
        const TaskState state = task->entity.state();
        const std::uint8_t count = inboxes[task->index];
        const bool is_under_way = state == TaskState::Migrating;
        if (count > 1 || (count == 1 && !is_under_way)) {
            return "I2: " + task->name + " is in an inbox and somewhere else";
        }
        if (is_under_way && count == 0 && !is_someone_between) {
            return "I2: " + task->name + " is under way and in no inbox";
        }
        if (state == TaskState::Queued && task->run_state != RunState::Ready) {
            return "I2: " + task->name + " waits and is not ready";
        }
        if (state == TaskState::Running &&
            harts[task->entity.cpu().value()]->queue.current() != &task->entity) {
            return "I2: " + task->name + " runs nowhere";
        }
    }
    return {};
}

// No hart sleeps beside work it may take, unless an IPI to one that may is on its way (I3 at rest).
std::string Machine::check_idle_harts() const {
    if (config.faults.stay_put) {
        return {};
    }
    for (const auto& hart : harts) {
        const CpuId cpu = hart->queue.cpu();
        if (!hart->asleep || hart->ipi_pending || !online.contains(cpu)) {
            continue;
        }
        for (const auto& other : harts) {
            const bool is_settled = !other->in_kernel && !other->ipi_pending;
            if (is_settled && other->queue.load().offers_work_to(cpu) && !is_help_on_the_way(*other)) {
                return "I3: cpu" + std::to_string(cpu.value()) + " sleeps beside work" + on(*other);
            }
        }
    }
    return {};
}

bool Machine::is_help_on_the_way(const Hart& hart) const {
    CpuMask waiting;
    for (const CpuMask mask : hart.queue.load().waiting_mask) {
        waiting = waiting | mask;
    }
    return std::ranges::any_of(harts, [&](const auto& other) {
        return waiting.contains(other->queue.cpu()) && (other->ipi_pending || other->in_kernel);
    });
}

// I17: what a hart was busy is what its tasks were charged.
std::string Machine::check_accounts() const {
    Duration busy;
    for (const auto& hart : harts) {
        busy += hart->queue.busy();
    }
    Duration charged;
    for (const auto& task : tasks) {
        charged += task->entity.statistics().runtime;
    }
    return busy == charged ? std::string{}
                           : "I17: harts were busy for " + std::to_string(busy.ns()) +
                                 " ns, tasks were charged " + std::to_string(charged.ns());
}

}  // namespace sched_sim
