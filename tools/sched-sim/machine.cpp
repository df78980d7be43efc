// SPDX-License-Identifier: MIT
#include "machine.hpp"

#include <algorithm>
#include <utility>

#include "lib/check.hpp"

namespace sched_sim {
namespace {

bool is_later(const Intervention& a, const Intervention& b) {
    return a.at != b.at ? b.at < a.at : b.order < a.order;
}

}  // namespace

Machine::Machine(Simulation& owner, Config wanted)
    : simulation{owner},
      config{std::move(wanted)},
      random{config.seed},
      now{config.start},
      start{config.start},
      online{CpuMask::first(config.harts)},
      idle{online},
      next{config.harts + 1} {
    CHECK(config.harts >= 1 && config.harts <= kernel::kMaxCpus);
    CHECK(config.capacities.empty() || config.capacities.size() == config.harts);
    if (config.faults.hints_buy_share) {
        // Half of one nanosecond is nothing: with exact timers a request would never end.
        config.timer_latency = std::max(config.timer_latency, Duration::microseconds(1));
    }
    for (std::uint32_t i = 0; i < config.harts; ++i) {
        harts.push_back(std::make_unique<Hart>());
        Hart& hart = *harts.back();
        hart.capacity = config.capacities.empty() ? kernel::sched::kCapacityFull : config.capacities[i];
        hart.queue.start(CpuId{i}, now, hart.capacity, config.faults);
        hart.progress_at = now;
        publish_load(hart);
    }
    std::vector<std::uint32_t> capacities;
    for (const auto& hart : harts) {
        capacities.push_back(hart->capacity);
    }
    shape = kernel::sched::MachineShape::of(capacities);
    if (config.lock_regions) {
        for (std::uint32_t i = 0; i <= config.harts; ++i) {
            fibers.push_back(std::make_unique<Fiber>());
        }
    }
}

// Kernel paths that are under way run to their end, so that what they hold is given back.
Machine::~Machine() {
    config.lock_regions = false;
    observers.clear();  // who watched may be gone; what is left to run is of no interest
    for (auto& fiber : fibers) {
        if (fiber->is_active()) {
            fiber->resume();
        }
    }
}

Task& Machine::make_task(std::string name, const Attributes& attributes, BehaviourPtr behaviour) {
    const auto index = static_cast<TaskIndex>(tasks.size());
    tasks.push_back(std::make_unique<Task>(index, random.next()));
    Task& task = *tasks.back();
    task.name = name.empty() ? "task " + std::to_string(index) : std::move(name);
    task.behaviour = behaviour ? std::move(behaviour) : hog();
    task.wanted = attributes;
    task.entity.attributes = attributes;
    task.entity.attributes.affinity_effective = attributes.affinity_effective & online;
    CHECK(!task.entity.attributes.affinity_effective.empty());
    return task;
}

void Machine::at(Instant when, std::function<void()> what) {
    interventions.push_back({.at = std::max(when, now), .order = order++, .what = std::move(what)});
    std::ranges::push_heap(interventions, is_later);
    plan_interventions();
}

void Machine::plan_interventions() {
    if (!resumes_intervention) {
        next.set(config.harts, interventions.empty() ? Instant::never() : interventions.front().at);
    }
}

// Which of the sources that are due together goes first.
std::uint32_t Machine::choose_source() {
    const std::uint32_t first = next.first();
    if (!config.lock_regions && !config.chooser) {
        return first;
    }
    std::array<std::uint32_t, kernel::kMaxCpus + 1> due{};
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i <= config.harts; ++i) {
        if (next.time_of(i) == next.first_time()) {
            due[count++] = i;
        }
    }
    if (count == 1) {
        return first;
    }
    return due[config.chooser ? config.chooser(count) : random.below(count)];
}

void Machine::run_until(Instant end) {
    while (violation.empty() && next.first_time() <= end) {
        const std::uint32_t source = choose_source();
        now = std::max(now, next.time_of(source));
        ++events;
        if (source == config.harts) {
            intervene();
        } else {
            run_hart(*harts[source], source);
        }
        if (config.audit && violation.empty()) {
            fail(audit());
        }
        for (Observer* observer : observers) {
            if (violation.empty()) {
                fail(observer->after_event(simulation));
            }
        }
    }
    if (violation.empty()) {
        now = std::max(now, end);
        for (auto& hart : harts) {
            hart->queue.charge_current(now);
            publish_load(*hart);
            if (!hart->in_kernel) {
                note_progress(*hart);
            }
        }
    }
}

void Machine::run_hart(Hart& hart, std::uint32_t source) {
    self = &hart;
    if (!config.lock_regions) {
        enter_kernel(hart);
    } else if (hart.in_kernel) {
        fibers[source]->resume();
    } else {
        hart.in_kernel = true;
        fibers[source]->start([this, &hart] {
            enter_kernel(hart);
            hart.in_kernel = false;
        });
    }
    self = nullptr;
    plan(hart);
}

void Machine::intervene() {
    self = nullptr;
    if (resumes_intervention) {
        resumes_intervention = false;
        fibers[config.harts]->resume();
    } else {
        std::ranges::pop_heap(interventions, is_later);
        auto what = std::move(interventions.back().what);
        interventions.pop_back();
        if (config.lock_regions) {
            fibers[config.harts]->start([what = std::move(what)] { what(); });
        } else {
            what();
        }
    }
    plan_interventions();
}

// Where a kernel path stops so that others may have their turn before its next locked section.
void Machine::section() {
    if (!config.lock_regions) {
        return;
    }
    const std::uint32_t source = self != nullptr ? self->queue.cpu().value() : config.harts;
    if (!fibers[source]->is_active()) {
        return;  // a caller from outside run_until(): one step
    }
    const Instant resume_at = now + Duration::nanoseconds(random.between(0, 2 * config.section_time.ns()));
    next.set(source, resume_at);
    resumes_intervention = resumes_intervention || self == nullptr;
    Hart* const path = self;
    fibers[source]->suspend();
    self = path;
}

// The current task's work is complete up to now.
void Machine::note_progress(Hart& hart) {
    const Duration passed = now - hart.progress_at;
    hart.progress_at = now;
    if (hart.current == nullptr || passed.is_zero()) {
        return;
    }
    Task& task = *hart.current;
    const Duration overhead = std::min(task.overhead_left, passed);
    task.overhead_left -= overhead;
    hart.record.switch_time += overhead;
    if (task.needs_action) {
        return;
    }
    auto done = kernel::sched::Int128{(passed - overhead).ns()} * hart.capacity;
    if (!task.runs_forever) {
        done = std::min(done, kernel::sched::Int128{task.work_left});
        task.work_left -= static_cast<std::int64_t>(done);
    }
    task.work_done += done;
}

// When the hart is next heard of.
void Machine::plan(Hart& hart) {
    if (hart.in_kernel) {
        return;  // section() said when it goes on
    }
    Instant at = min(hart.timer_at, hart.ipi_at);
    if (hart.current != nullptr && (hart.current->needs_action || !hart.current->runs_forever)) {
        const Task& task = *hart.current;
        const std::int64_t capacity = hart.capacity;
        const std::int64_t work = task.needs_action ? 0 : (task.work_left + capacity - 1) / capacity;
        at = min(at, hart.progress_at + task.overhead_left + Duration::nanoseconds(work));
    }
    next.set(hart.queue.cpu().value(), std::max(at, now));
}

void Machine::fail(std::string what) {
    if (violation.empty() && !what.empty()) {
        violation = std::to_string(now.ns()) + " ns: " + std::move(what);
    }
}

}  // namespace sched_sim
