// SPDX-License-Identifier: MIT
#include "engine.hpp"

#include <algorithm>
#include <utility>

#include "lib/check.hpp"
#include "machine.hpp"

namespace sched_sim {

Simulation::Simulation(Config config) : machine_{std::make_unique<Machine>(*this, std::move(config))} {}
Simulation::~Simulation() = default;

TaskIndex Simulation::add_task(TaskOptions options) {
    Machine& machine = *machine_;
    Task& task = machine.make_task(std::move(options.name), options.attributes, std::move(options.behaviour));
    Task* const parent = options.parent == kNoTask ? nullptr : machine.tasks.at(options.parent).get();
    if (options.starts_at <= machine.now) {
        machine.start_task(task, parent);
    } else {
        machine.at(options.starts_at, [&machine, &task, parent] {
            if (!task.must_exit) {
                machine.start_task(task, parent);
            }
        });
    }
    return task.index;
}

TaskIndex Simulation::add_hog(std::uint32_t shares, CpuMask mask, QosClass qos_class, std::string name) {
    TaskOptions options{.name = std::move(name)};
    options.attributes.shares = shares;
    options.attributes.qos_class = qos_class;
    options.attributes.affinity = options.attributes.affinity_effective = mask;
    return add_task(std::move(options));
}

SemaphoreIndex Simulation::make_semaphore(std::uint32_t units) {
    machine_->semaphores.push_back({.units = units, .waiters = {}});
    return static_cast<SemaphoreIndex>(machine_->semaphores.size() - 1);
}

MutexIndex Simulation::make_mutex() {
    machine_->mutexes.emplace_back();
    return static_cast<MutexIndex>(machine_->mutexes.size() - 1);
}

void Simulation::at(Instant when, std::function<void(Simulation&)> f) {
    machine_->at(when, [this, f = std::move(f)] { f(*this); });
}

void Simulation::set_attributes(TaskIndex task, const Attributes& attributes) {
    machine_->set_attributes(*machine_->tasks.at(task), attributes);
}

void Simulation::set_shares(TaskIndex task, std::uint32_t shares) {
    Attributes attributes = entity(task).attributes;
    attributes.shares = shares;
    set_attributes(task, attributes);
}

void Simulation::set_class(TaskIndex task, QosClass qos_class) {
    Attributes attributes = entity(task).attributes;
    attributes.qos_class = qos_class;
    set_attributes(task, attributes);
}

void Simulation::set_affinity(TaskIndex task, CpuMask mask) {
    Attributes attributes = entity(task).attributes;
    attributes.affinity = mask;
    attributes.affinity_effective = mask & machine_->online;
    CHECK(!attributes.affinity_effective.empty());
    set_attributes(task, attributes);
}

void Simulation::set_latency(TaskIndex task, Duration latency) {
    Attributes attributes = entity(task).attributes;
    attributes.latency = latency;
    set_attributes(task, attributes);
}

void Simulation::set_burst(TaskIndex task, Duration burst) {
    Attributes attributes = entity(task).attributes;
    attributes.burst = burst;
    set_attributes(task, attributes);
}

void Simulation::set_budget(TaskIndex task, Duration quota, Duration period) {
    Attributes attributes = entity(task).attributes;
    attributes.budget = {.runtime = quota, .period = period};
    set_attributes(task, attributes);
}

void Simulation::set_group(TaskIndex task, std::uint32_t ceiling) {
    auto group = ceiling == 0 ? nullptr : std::make_shared<kernel::sched::Group>();
    if (group != nullptr) {
        group->set_ceiling(ceiling);
    }
    machine_->set_group(*machine_->tasks.at(task), std::move(group));
}

void Simulation::exit(TaskIndex task) {
    machine_->kill(*machine_->tasks.at(task));
}

void Simulation::offline(CpuId cpu) {
    machine_->offline(cpu);
}

void Simulation::online(CpuId cpu) {
    machine_->online_again(cpu);
}

void Simulation::run_until(Instant end) {
    machine_->run_until(end);
}

void Simulation::run_for(Duration span) {
    machine_->run_until(machine_->now + span);
}

Instant Simulation::now() const {
    return machine_->now;
}

std::uint64_t Simulation::events() const {
    return machine_->events;
}

const std::string& Simulation::violation() const {
    return machine_->violation;
}

void Simulation::add_observer(Observer& observer) {
    machine_->observers.push_back(&observer);
}

const Config& Simulation::config() const {
    return machine_->config;
}

CpuMask Simulation::online_mask() const {
    return machine_->online;
}

std::uint32_t Simulation::hart_count() const {
    return machine_->config.harts;
}

std::uint32_t Simulation::task_count() const {
    return static_cast<std::uint32_t>(machine_->tasks.size());
}

const RunQueue& Simulation::queue(CpuId cpu) const {
    return machine_->hart_of(cpu).queue;
}

const Entity& Simulation::entity(TaskIndex task) const {
    return machine_->tasks.at(task)->entity;
}

const std::string& Simulation::name(TaskIndex task) const {
    return machine_->tasks.at(task)->name;
}

TaskIndex Simulation::index_of(const Entity& entity) const {
    return Machine::task_of(entity).index;
}

TaskIndex Simulation::running(CpuId cpu) const {
    const Task* const task = machine_->hart_of(cpu).current;
    return task == nullptr ? kNoTask : task->index;
}

bool Simulation::is_hog(TaskIndex task) const {
    const Task& found = *machine_->tasks.at(task);
    return (found.runs_forever || found.behaviour->is_hog()) && found.run_state != RunState::Dead;
}

Duration Simulation::waiting_for(TaskIndex task) const {
    const Task& found = *machine_->tasks.at(task);
    return found.waits ? machine_->now - found.waits_since : Duration{};
}

TaskIndex Simulation::parent(TaskIndex task) const {
    return machine_->tasks.at(task)->parent;
}

const TaskRecord& Simulation::record(TaskIndex task) const {
    Task& found = *machine_->tasks.at(task);
    found.record.work =
        Duration::nanoseconds(static_cast<std::int64_t>(found.work_done / kernel::sched::kCapacityFull));
    return found.record;
}

const HartRecord& Simulation::hart_record(CpuId cpu) const {
    Hart& hart = machine_->hart_of(cpu);
    hart.record.pulls = hart.balance.idle_pulls + hart.balance.class_pulls + hart.balance.pulls_at_pick;
    hart.record.pushes = hart.balance.pushes;
    return hart.record;
}

Duration Simulation::runtime(TaskIndex task) const {
    return entity(task).runtime(machine_->now);
}

Duration Simulation::runtime_on(TaskIndex task, CpuId cpu) const {
    const Entity& found = entity(task);
    const Duration going_on = found.cpu() == cpu ? runtime(task) - found.statistics().runtime : Duration{};
    return found.runtime_on(cpu) + going_on;
}

Duration Simulation::service(TaskIndex task) const {
    kernel::sched::Int128 service = 0;
    for (const auto& hart : machine_->harts) {
        service += kernel::sched::Int128{runtime_on(task, hart->queue.cpu()).ns()} * hart->capacity;
    }
    return Duration::nanoseconds(static_cast<std::int64_t>(service / kernel::sched::kCapacityFull));
}

double Simulation::fair_weight(TaskIndex task) const {
    const std::uint32_t shares = entity(task).attributes.shares;
    const kernel::sched::Group* const group = entity(task).group();
    constexpr double kPerShare = kernel::sched::kWeightPerShare;
    return group == nullptr ? shares : group->effective(shares * kernel::sched::kWeightPerShare) / kPerShare;
}

double Simulation::budget_rate(TaskIndex task) const {
    const kernel::sched::BudgetParams& budget = entity(task).attributes.budget;
    return budget.is_capped()
               ? static_cast<double>(budget.runtime.ns()) / static_cast<double>(budget.period.ns())
               : 1.0;
}

void Simulation::mark() {
    for (auto& task : machine_->tasks) {
        task->marked_runtime = task->entity.runtime(machine_->now);
        task->marked_work = record(task->index).work;
        task->record.wake_latency = {};
        task->record.wait = {};
        task->record.response = {};
    }
}

Duration Simulation::runtime_since_mark(TaskIndex task) const {
    return runtime(task) - machine_->tasks.at(task)->marked_runtime;
}

Duration Simulation::work_since_mark(TaskIndex task) const {
    return record(task).work - machine_->tasks.at(task)->marked_work;
}

std::string Simulation::audit() const {
    return machine_->audit();
}

std::uint64_t Simulation::fingerprint() const {
    return machine_->fingerprint;
}

}  // namespace sched_sim
