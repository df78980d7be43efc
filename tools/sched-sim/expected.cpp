// SPDX-License-Identifier: MIT
#include "expected.hpp"

#include <algorithm>

#include "fair_shares.hpp"

namespace sched_sim {
namespace {

using kernel::sched::kClasses;
using kernel::sched::kClassTable;

std::uint64_t compress(std::uint64_t mask, CpuMask online) {
    std::uint64_t result = 0;
    unsigned position = 0;
    online.for_each([&](CpuId cpu) {
        result |= ((mask >> cpu.value()) & 1U) << position;
        ++position;
    });
    return result;
}

}  // namespace

// What is known at the end of a stretch.
struct Expected::Stretch {
    double span{0};                    // ns
    std::vector<double> capacities{};  // of the online harts, less what sleepers of classes without hogs took
    double machine{0};                 // their sum
    PerClass sleepers{};               // service per ns that tasks that sleep took, in classes with hogs
    std::array<std::vector<const Claim*>, kClasses> hogs{};

    [[nodiscard]] std::size_t hog_classes() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(hogs, [](const auto& list) { return !list.empty(); }));
    }
};

void Expected::on_fork(Instant, TaskIndex, TaskIndex) {
    stale_ = true;
}

void Expected::on_exit(Instant, TaskIndex) {
    stale_ = true;
}

void Expected::on_attributes(Instant, TaskIndex) {
    stale_ = true;
}

void Expected::on_online(Instant, CpuId, bool) {
    stale_ = true;
}

std::string Expected::after_event(const Simulation&) {
    if (stale_) {
        close();
        open();
    }
    return {};
}

void Expected::start() {
    due_.clear();
    known_ = true;
    open();
}

void Expected::finish() {
    close();
    open();
}

std::optional<double> Expected::service_ns(TaskIndex task) const {
    return known_ ? std::optional{task < due_.size() ? due_[task] : 0.0} : std::nullopt;
}

void Expected::open() {
    stale_ = false;
    since_ = simulation_.now();
    online_ = simulation_.online_mask();
    claims_.clear();
    for (TaskIndex i = 0; i < simulation_.task_count(); ++i) {
        const Entity& entity = simulation_.entity(i);
        if (entity.state() == kernel::sched::TaskState::Dead) {
            continue;
        }
        Claim claim{.task = i,
                    .class_index = kernel::sched::index_of(entity.effective()),
                    .weight = simulation_.fair_weight(i),
                    .limit = simulation_.budget_rate(i),
                    .is_boostable = entity.attributes.qos_class == QosClass::PerfBurst,
                    .mask = compress(entity.attributes.affinity_effective.bits(), online_),
                    .service_before = simulation_.service(i)};
        online_.for_each([&](CpuId cpu) { claim.runtime_before.push_back(simulation_.runtime_on(i, cpu)); });
        claims_.push_back(std::move(claim));
    }
}

void Expected::close() {
    due_.resize(simulation_.task_count());
    Stretch stretch{.span = static_cast<double>((simulation_.now() - since_).ns())};
    if (stretch.span <= 0 || !known_) {
        return;
    }
    online_.for_each([&](CpuId cpu) {
        const auto& configured = simulation_.config().capacities;
        stretch.capacities.push_back(configured.empty() ? 1.0 : configured[cpu.value()] / 1024.0);
    });
    for (const Claim& claim : claims_) {
        if (simulation_.is_hog(claim.task)) {
            stretch.hogs[claim.class_index].push_back(&claim);
        }
    }
    settle_sleepers(stretch);
    for (const double capacity : stretch.capacities) {
        stretch.machine += capacity;
    }
    if (is_answerable(stretch)) {
        settle_hogs(stretch);
    } else {
        known_ = false;
    }
}

// Who sleeps got what it asked for. In a class without hogs it took that from the harts it was on.
void Expected::settle_sleepers(Stretch& stretch) {
    const std::vector<double> full = stretch.capacities;
    const std::size_t hog_classes = stretch.hog_classes();
    for (const Claim& claim : claims_) {
        const auto& hogs = stretch.hogs[claim.class_index];
        if (std::ranges::find(hogs, &claim) != hogs.end()) {
            continue;
        }
        const auto took = static_cast<double>((simulation_.service(claim.task) - claim.service_before).ns());
        due_[claim.task] += took;
        if (!hogs.empty() && hog_classes > 1) {
            stretch.sleepers[claim.class_index] += took / stretch.span;
            continue;
        }
        std::size_t hart = 0;
        online_.for_each([&](CpuId cpu) {
            const Duration spent = simulation_.runtime_on(claim.task, cpu) - claim.runtime_before[hart];
            stretch.capacities[hart] -= full[hart] * static_cast<double>(spent.ns()) / stretch.span;
            ++hart;
        });
    }
    for (double& capacity : stretch.capacities) {
        capacity = std::max(capacity, 1e-9);
    }
}

// Hogs of one class: always. Of several: when each class has work on every hart.
bool Expected::is_answerable(const Stretch& stretch) const {
    const std::uint64_t all = compress(online_.bits(), online_);
    for (std::size_t i = 0; i < kClasses; ++i) {
        const auto& hogs = stretch.hogs[i];
        const bool is_everywhere =
            online_.count() == 1 ||
            (hogs.size() >= online_.count() &&
             std::ranges::all_of(hogs, [&](const Claim* claim) { return claim->mask == all; }));
        if (!hogs.empty() && stretch.hog_classes() > 1 && !is_everywhere) {
            return false;
        }
    }
    return std::ranges::none_of(stretch.hogs, [](const auto& hogs) {
        return std::ranges::any_of(hogs, [](const Claim* claim) { return claim->is_boostable; });
    });
}

// Classes with hogs share the machine by root weight, and the hogs of each what its sleepers left.
void Expected::settle_hogs(const Stretch& stretch) {
    PerClass part{};
    std::array<bool, kClasses> settled{};
    double left = stretch.machine;
    for (bool changed = true; changed;) {
        changed = false;
        double weight = 0;
        for (std::size_t i = 0; i < kClasses; ++i) {
            weight += stretch.hogs[i].empty() || settled[i] ? 0 : kClassTable[i].weight;
        }
        for (std::size_t i = 0; i < kClasses && !changed; ++i) {
            if (stretch.hogs[i].empty() || settled[i]) {
                continue;
            }
            part[i] = left * kClassTable[i].weight / weight;
            double wanted = stretch.sleepers[i];
            for (const Claim* claim : stretch.hogs[i]) {
                wanted += claim->limit;
            }
            if (wanted < part[i]) {  // capped by budgets: the rest is for the others
                part[i] = wanted;
                left -= wanted;
                settled[i] = changed = true;
            }
        }
    }
    for (std::size_t i = 0; i < kClasses; ++i) {
        if (stretch.hogs[i].empty()) {
            continue;
        }
        std::vector<double> capacities = stretch.capacities;
        for (double& capacity : capacities) {
            capacity *= std::max(part[i] - stretch.sleepers[i], 1e-9) / stretch.machine;
        }
        std::vector<Demand> demands;
        for (const Claim* claim : stretch.hogs[i]) {
            demands.push_back({.weight = claim->weight, .mask = claim->mask, .limit = claim->limit});
        }
        const std::vector<double> rates = fair_shares(capacities, demands);
        for (std::size_t k = 0; k < rates.size(); ++k) {
            due_[stretch.hogs[i][k]->task] += rates[k] * stretch.span;
        }
    }
}

}  // namespace sched_sim
