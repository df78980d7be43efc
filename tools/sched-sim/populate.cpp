// SPDX-License-Identifier: MIT
// A workload becomes tasks and changes of a simulation.
#include <algorithm>
#include <utility>

#include "analogues.hpp"
#include "sched/params.hpp"
#include "script.hpp"
#include "workload.hpp"

namespace sched_sim {
namespace {

// The tasks of one [[task]] by name, for the changes.
using Cast = std::vector<std::pair<std::string, std::vector<TaskIndex>>>;

class Director {
  public:
    Director(Simulation& simulation, std::vector<Member>& members)
        : simulation_{simulation}, members_{members}, objects_{simulation} {}

    void add(const TaskSpec& spec, std::size_t index);
    void schedule(const ChangeSpec& change) const;

  private:
    void add_one(const TaskSpec& spec, std::size_t index, std::string name, BehaviourPtr behaviour,
                 const Attributes& attributes);
    [[nodiscard]] BehaviourPtr behaviour_of(const Conduct& conduct, const NewTask& child);
    [[nodiscard]] std::vector<Part> parts_of(const Conduct& conduct, const NewTask& child);

    Simulation& simulation_;
    std::vector<Member>& members_;
    ScriptObjects objects_;
    Cast cast_;
};

BehaviourPtr Director::behaviour_of(const Conduct& conduct, const NewTask& child) {
    switch (conduct.kind) {
        case Conduct::Kind::Periodic:
        case Conduct::Kind::Cyclictest:
            return periodic(conduct.period, conduct.work, conduct.offset);
        case Conduct::Kind::OnOff:
            return on_off(conduct.work, conduct.rest);
        case Conduct::Kind::Script:
            return make_script(conduct.steps, conduct.repeats, objects_);
        case Conduct::Kind::Forker: {
            const Distribution work = conduct.work;
            const auto make_child = [work]() -> BehaviourPtr {
                if (work.mean.is_zero()) {
                    return hog();
                }
                bool done = false;
                return program([work, done](const Self& self) mutable {
                    return std::exchange(done, true) ? exit_now() : run(work.draw(self.random));
                });
            };
            return forker(child, make_child, conduct.forks, conduct.gap, false);
        }
        default:
            return hog();
    }
}

std::vector<Part> Director::parts_of(const Conduct& conduct, const NewTask& child) {
    switch (conduct.kind) {
        case Conduct::Kind::Schbench:
            return schbench(simulation_, conduct.groups, conduct.workers, conduct.work, conduct.rest);
        case Conduct::Kind::Hackbench:
            return hackbench(simulation_, conduct.groups, conduct.workers, conduct.work);
        case Conduct::Kind::Build:
            return {build(simulation_, conduct.parallel, conduct.forks, conduct.work, child)};
        default:
            return {{.role = "", .behaviour = behaviour_of(conduct, child)}};
    }
}

void Director::add_one(const TaskSpec& spec, std::size_t index, std::string name, BehaviourPtr behaviour,
                       const Attributes& attributes) {
    const TaskIndex task = simulation_.add_task({.name = std::move(name),
                                                 .attributes = attributes,
                                                 .behaviour = std::move(behaviour),
                                                 .starts_at = spec.starts_at});
    members_.push_back({.task = task, .spec = index});
    cast_.back().second.push_back(task);
    if (spec.group != 0 && cast_.back().second.size() == 1) {
        simulation_.set_group(task, spec.group);
    }
    if (spec.stops_at) {
        simulation_.at(*spec.stops_at, [task](Simulation& simulation) { simulation.exit(task); });
    }
}

void Director::add(const TaskSpec& spec, std::size_t index) {
    cast_.push_back({spec.name, {}});
    Attributes attributes = spec.attributes;
    attributes.budget = {.runtime = spec.budget, .period = spec.budget_period};
    const bool is_one_per_hart = spec.conduct.kind == Conduct::Kind::Cyclictest;
    const std::uint32_t count = is_one_per_hart ? simulation_.hart_count() : spec.count;
    for (std::uint32_t i = 0; i < count; ++i) {
        if (is_one_per_hart) {
            attributes.affinity = attributes.affinity_effective = CpuMask::of(CpuId{i});
        }
        const NewTask child{.name = spec.name, .attributes = attributes, .behaviour = {}};
        const std::vector<Part> parts = parts_of(spec.conduct, child);
        std::uint32_t number = 0;
        for (const Part& part : parts) {
            std::string name = spec.name + (count > 1 ? " " + std::to_string(i) : "");
            if (!part.role.empty()) {
                name += " " + part.role + (parts.size() > 1 ? " " + std::to_string(number++) : "");
            }
            add_one(spec, index, std::move(name), part.behaviour, attributes);
        }
    }
}

void apply(Simulation& simulation, TaskIndex task, const ChangeSpec& change) {
    if (change.exits) {
        simulation.exit(task);
        return;
    }
    Attributes attributes = simulation.entity(task).attributes;
    attributes.shares = change.shares.value_or(attributes.shares);
    attributes.qos_class = change.qos_class.value_or(attributes.qos_class);
    attributes.latency = change.latency.value_or(attributes.latency);
    attributes.burst = change.burst.value_or(attributes.burst);
    if (change.affinity) {
        attributes.affinity = *change.affinity;
        attributes =
            kernel::sched::refit_affinity(attributes, CpuMask::all(), simulation.online_mask()).attributes;
    }
    if (change.budget && change.budget_period) {
        attributes.budget = {.runtime = *change.budget, .period = *change.budget_period};
    }
    simulation.set_attributes(task, attributes);
}

void Director::schedule(const ChangeSpec& change) const {
    const auto found = std::ranges::find(cast_, change.task, &Cast::value_type::first);
    const std::vector<TaskIndex> tasks = found == cast_.end() ? std::vector<TaskIndex>{} : found->second;
    simulation_.at(change.at, [change, tasks](Simulation& simulation) {
        if (change.offline) {
            simulation.offline(CpuId{*change.offline});
        }
        if (change.online) {
            simulation.online(CpuId{*change.online});
        }
        for (const TaskIndex task : tasks) {
            apply(simulation, task, change);
        }
    });
}

}  // namespace

void populate(Simulation& simulation, const Workload& workload, std::vector<Member>& members) {
    Director director{simulation, members};
    for (std::size_t i = 0; i < workload.tasks.size(); ++i) {
        director.add(workload.tasks[i], i);
    }
    for (const ChangeSpec& change : workload.changes) {
        director.schedule(change);
    }
}

}  // namespace sched_sim
