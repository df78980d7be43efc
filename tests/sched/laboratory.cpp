// SPDX-License-Identifier: MIT
#include "laboratory.hpp"

#include <algorithm>
#include <cmath>

#include "fair_shares.hpp"

namespace sched_test {

using kernel::sched::TaskState;
using sched_sim::kNoTask;

Attributes make(QosClass qos_class, std::uint32_t shares, CpuMask mask) {
    Attributes attributes;
    attributes.qos_class = qos_class;
    attributes.shares = shares;
    attributes.affinity = attributes.affinity_effective = mask;
    return attributes;
}

TaskOptions task_of(const Attributes& attributes, BehaviourPtr behaviour) {
    TaskOptions options;
    options.attributes = attributes;
    options.behaviour = std::move(behaviour);
    return options;
}

double part(const Simulation& simulation, TaskIndex task, Duration window) {
    return static_cast<double>(simulation.runtime_since_mark(task).ns()) / static_cast<double>(window.ns());
}

// --- Watcher ---

Watcher::Watcher(Simulation& simulation) : simulation_{simulation}, harts_(simulation.hart_count()) {
    simulation.add_observer(*this);
}

void Watcher::on_switch(Instant now, CpuId cpu, TaskIndex previous, TaskIndex task) {
    Hart& hart = harts_[cpu.value()];
    ++switches;
    if (task != kNoTask && !simulation_.entity(task).attributes.affinity_effective.contains(cpu)) {
        if (outside_mask++ == 0) {
            first_outside = simulation_.name(task) + " on cpu" + std::to_string(cpu.value()) + " at " +
                            std::to_string(now.ns()) + " ns";
        }
    }
    if (previous != kNoTask && task != kNoTask && previous == hart.running) {
        const auto& loser = simulation_.entity(previous);
        const auto& winner = simulation_.entity(task);
        const bool is_peer = loser.effective() == winner.effective();
        const bool is_hinted = !winner.latency().is_zero() || !loser.attributes.burst.is_zero();
        const bool stays = loser.state() == TaskState::Queued && loser.cpu() == cpu;
        // A short stretch is a preemption when the request was not at its end.
        const bool is_used_up = loser.position().request_end - loser.position().vt >=
                                kernel::sched::span_of(kernel::sched::row_of(loser.effective()).task_request,
                                                       loser.position().weight);
        if (is_peer && !is_hinted && stays && !is_used_up &&
            now - hart.since < kernel::sched::kMinGranularity) {
            ++early_preemptions;
        }
    }
    if (!tracked.empty() && hart.running != kNoTask &&
        std::ranges::find(tracked, hart.running) != tracked.end()) {
        runs[hart.running].emplace_back(hart.since, now);
    }
    hart.running = task;
    hart.since = now;
}

void Watcher::on_wake(Instant, TaskIndex, CpuId) {
    ++wakes;
}

void Watcher::on_migrate(Instant, TaskIndex, CpuId, CpuId, sched_sim::MoveReason) {
    ++migrations;
}

void Watcher::on_ipi(Instant, CpuId) {
    ++ipis;
}

void Watcher::on_timer(Instant, CpuId) {
    ++timers;
}

void Watcher::on_attributes(Instant now, TaskIndex task) {
    changed_at_[task] = now;
}

// What happens between two events lasts from the first one on.
std::string Watcher::after_event(const Simulation&) {
    ++events;
    if (looks_at_harts) {
        for (std::uint32_t cpu = 0; cpu < harts_.size(); ++cpu) {
            look_at(cpu);
        }
    }
    return {};
}

void Watcher::look_at(std::uint32_t cpu) {
    Hart& hart = harts_[cpu];
    const Instant now = simulation_.now();
    if (hart.running != kNoTask) {
        const auto& entity = simulation_.entity(hart.running);
        if (!entity.attributes.affinity_effective.contains(CpuId{cpu})) {
            const auto changed = changed_at_.find(hart.running);
            const Instant since =
                changed == changed_at_.end() ? hart.since : std::max(hart.since, changed->second);
            if (now - since > eviction_allowance && outside_mask++ == 0) {
                first_outside = simulation_.name(hart.running) + " stays on cpu" + std::to_string(cpu) +
                                " at " + std::to_string(now.ns()) + " ns";
            }
        }
    }
    bool is_beside_work = false;
    bool is_inverted = false;
    const std::size_t running_class =
        hart.running == kNoTask ? 0 : kernel::sched::index_of(simulation_.entity(hart.running).effective());
    for (std::uint32_t other = 0; other < harts_.size(); ++other) {
        if (other == cpu) {
            continue;
        }
        const auto& queue = simulation_.queue(CpuId{other});
        for (std::size_t index = hart.running == kNoTask ? 0 : running_class + 1;
             index < kernel::sched::kClasses; ++index) {
            const auto& waiting = queue.queue(kernel::sched::class_at(index)).waiting();
            if (waiting.root() != nullptr && waiting.root()->position().any_allowed.contains(CpuId{cpu})) {
                // Where the hart has work of that class itself, the class gets its turn there.
                const bool is_missing =
                    simulation_.queue(CpuId{cpu}).queue(kernel::sched::class_at(index)).empty();
                is_beside_work = is_beside_work || hart.running == kNoTask;
                is_inverted = is_inverted || (hart.running != kNoTask && is_missing);
            }
        }
    }
    const auto follow = [now](bool holds, Instant& since, Duration& longest) {
        if (!holds) {
            since = Instant::never();
        } else if (since.is_never()) {
            since = now;
        } else {
            longest = std::max(longest, now - since);
        }
    };
    follow(is_beside_work, hart.idle_beside_work_since, longest_idle_beside_work);
    follow(is_inverted, hart.inverted_since, longest_inversion);
}

// --- Casts ---

std::uint32_t log_uniform(Random& random, std::uint32_t low, std::uint32_t high) {
    const double exponent = std::log(static_cast<double>(high) / low) * random.fraction();
    return std::clamp(static_cast<std::uint32_t>(std::lround(low * std::exp(exponent))), low, high);
}

CpuMask any_mask(Random& random, std::uint32_t harts) {
    switch (random.below(4)) {
        case 0:
            return CpuMask::first(harts);
        case 1:
            return CpuMask::of(CpuId{static_cast<std::uint32_t>(random.below(harts))});
        case 2:  // one of a nest
            return CpuMask::first(static_cast<std::uint32_t>(random.below(harts)) + 1);
        default: {
            const auto bits = random.next() & CpuMask::first(harts).bits();
            return bits == 0 ? CpuMask::first(harts) : CpuMask::from_bits(bits);
        }
    }
}

namespace {

Distribution any_distribution(Random& random, std::int64_t longest_us) {
    using Kind = Distribution::Kind;
    static constexpr std::array kKinds{Kind::Constant, Kind::Exponential, Kind::Bimodal, Kind::HeavyTail};
    return Distribution{.kind = kKinds[random.below(kKinds.size())],
                        .mean = Duration::microseconds(random.between(10, longest_us))};
}

Attributes any_attributes(Random& random, std::uint32_t harts, const CastOptions& options) {
    Attributes attributes = make(QosClass::Normal, options.equal_shares ? 100 : log_uniform(random, 1, 1000),
                                 options.full_masks ? CpuMask::first(harts) : any_mask(random, harts));
    if (!options.one_class) {
        attributes.qos_class = kernel::sched::class_at(random.below(kernel::sched::kClasses));
        attributes.latency =
            random.below(4) == 0 ? Duration::microseconds(random.between(100, 20'000)) : Duration{};
        attributes.burst =
            random.below(4) == 0 ? Duration::microseconds(random.between(100, 50'000)) : Duration{};
    }
    return attributes;
}

// Changes something about someone, again and again.
void change_live(Simulation& simulation, Random random, CastOptions options, std::uint32_t count) {
    const TaskIndex task = static_cast<TaskIndex>(random.below(count));
    simulation.set_attributes(task, any_attributes(random, simulation.hart_count(), options));
    const auto gap = Distribution::exponential(Duration::nanoseconds(1'000'000'000 / options.setters_per_s));
    const Instant next = simulation.now() + gap.draw(random);
    simulation.at(
        next, [random, options, count](Simulation& later) { change_live(later, random, options, count); });
}

}  // namespace

void add_cast(Simulation& simulation, Random& random, const CastOptions& options) {
    for (std::uint32_t i = 0; i < options.tasks; ++i) {
        BehaviourPtr behaviour = sched_sim::hog();
        if (!options.only_hogs) {
            switch (random.below(4)) {
                case 0:
                    break;
                case 1:
                    behaviour = sched_sim::periodic(Duration::microseconds(random.between(500, 50'000)),
                                                    any_distribution(random, 2'000));
                    break;
                default:
                    behaviour =
                        sched_sim::on_off(any_distribution(random, 8'000), any_distribution(random, 20'000));
            }
        }
        TaskOptions task =
            task_of(any_attributes(random, simulation.hart_count(), options), std::move(behaviour));
        task.starts_at = Instant::from_ns(random.between(0, options.only_hogs ? 0 : 20'000'000));
        simulation.add_task(std::move(task));
    }
    if (options.setters_per_s != 0) {
        simulation.at(Instant::from_ns(1'000'000), [own = random.fork(), options](Simulation& later) {
            change_live(later, own, options, options.tasks);
        });
    }
}

ShareErrors share_errors(const Simulation& simulation, Duration window) {
    std::vector<sched_sim::Demand> demands;
    for (TaskIndex task = 0; task < simulation.task_count(); ++task) {
        const Attributes& attributes = simulation.entity(task).attributes;
        demands.push_back(
            {.weight = static_cast<double>(attributes.shares), .mask = attributes.affinity_effective.bits()});
    }
    const std::vector<double> due = sched_sim::fair_shares(simulation.hart_count(), demands);
    ShareErrors errors;
    for (TaskIndex task = 0; task < simulation.task_count(); ++task) {
        const double error = std::abs(part(simulation, task, window) - due[task]);
        errors.worst_absolute = std::max(errors.worst_absolute, error);
        errors.worst_relative = std::max(errors.worst_relative, error / due[task]);
    }
    return errors;
}

}  // namespace sched_test
