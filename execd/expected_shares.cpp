// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "explain.hpp"
#include "fair_shares.hpp"
#include "notation.hpp"

namespace execd {
namespace {

using nexus_abi::QosClass;

// Root weights of the classes (docs/scheduler.md).
constexpr std::array<double, nexus_abi::kQosClassCount> kClassWeight{1, 16, 64, 64};

// perfburst in the long run: its boost is bounded.
std::size_t lasting_class(const Hints& hints) {
    return static_cast<std::size_t>(std::min(class_in_effect(hints), QosClass::Interactive));
}

double lasting_shares(const Hints& hints) {
    const std::uint32_t asked = shares_in_effect(hints);
    return hints.group_shares == 0 ? asked : std::min(asked, hints.group_shares);
}

double budget_fraction(const Hints& hints) {
    return static_cast<double>(hints.budget.runtime.count()) /
           static_cast<double>(hints.budget.period.count());
}

// CPUs by their place among those online: the sharing code counts them without gaps.
std::uint64_t dense_mask(std::uint64_t mask, std::uint64_t cpus_online) {
    std::uint64_t dense = 0;
    unsigned place = 0;
    for (unsigned cpu = 0; cpu < kMaxCpus; ++cpu) {
        if (((cpus_online >> cpu) & 1U) != 0) {
            dense |= ((mask >> cpu) & 1U) << place;
            ++place;
        }
    }
    return dense;
}

// Budgets cap: a task that would get more is weighed down until it gets its budget. Each round brings a
// capped task nearer by the ratio, and the others only rise.
std::vector<double> capped_shares(std::uint32_t cpus, std::vector<sched_sim::Demand> demands,
                                  const std::vector<double>& caps) {
    constexpr int kMaxRounds = 200;
    constexpr double kPrecision = 1e-4;  // finer than what is printed
    std::vector<double> shares = sched_sim::fair_shares(cpus, demands);
    for (int round = 0; round < kMaxRounds; ++round) {
        bool is_over = false;
        for (std::size_t i = 0; i < shares.size(); ++i) {
            if (shares[i] > caps[i] + kPrecision) {
                demands[i].weight *= caps[i] / shares[i];
                is_over = true;
            }
        }
        if (!is_over) {
            break;
        }
        shares = sched_sim::fair_shares(cpus, demands);
    }
    for (std::size_t i = 0; i < shares.size(); ++i) {
        shares[i] = std::min(shares[i], caps[i]);
    }
    return shares;
}

bool can_start(const PlannedService& planned) {
    return !planned.service.program.empty();
}

}  // namespace

std::vector<double> expected_shares(const Plan& plan, std::uint64_t cpus_online) {
    std::array<double, nexus_abi::kQosClassCount> class_shares{};
    for (const PlannedService& planned : plan.services) {
        if (can_start(planned)) {
            class_shares[lasting_class(planned.hints)] += lasting_shares(planned.hints);
        }
    }
    std::vector<sched_sim::Demand> demands;
    std::vector<double> caps;
    for (const PlannedService& planned : plan.services) {
        const Hints& hints = planned.hints;
        const std::size_t own_class = lasting_class(hints);
        const bool counts = can_start(planned);
        demands.push_back(
            {.weight =
                 counts ? kClassWeight[own_class] * lasting_shares(hints) / class_shares[own_class] : 1.0,
             .mask = counts ? dense_mask(usable_cpus(hints, cpus_online), cpus_online) : 0});
        caps.push_back(hints.budget == Budget{} ? 1.0 : budget_fraction(hints));
    }
    return capped_shares(static_cast<std::uint32_t>(std::popcount(cpus_online)), std::move(demands), caps);
}

std::vector<std::string> budget_warnings(const Plan& plan, std::uint64_t cpus_online) {
    constexpr double kFullEnough = 0.9;
    std::vector<std::uint64_t> sets{cpus_online};
    for (const PlannedService& planned : plan.services) {
        const std::uint64_t cpus = usable_cpus(planned.hints, cpus_online);
        if (planned.hints.budget != Budget{} && std::ranges::find(sets, cpus) == sets.end()) {
            sets.push_back(cpus);
        }
    }
    std::vector<std::string> warnings;
    for (const std::uint64_t set : sets) {
        double sum = 0;
        std::string names;
        for (const PlannedService& planned : plan.services) {
            if (planned.hints.budget != Budget{} && (usable_cpus(planned.hints, cpus_online) & ~set) == 0) {
                sum += budget_fraction(planned.hints);
                names += (names.empty() ? "" : ", ") + planned.service.name;
            }
        }
        const int cpus = std::popcount(set);
        if (sum > kFullEnough * cpus) {
            warnings.push_back("the budgets of " + names + " sum up to " +
                               std::to_string(std::lround(sum * 100)) + " % of a cpu, on cpus " +
                               format_cpu_list(set) + ", where " + std::to_string(90 * cpus) +
                               " % is the most to plan with");
        }
    }
    return warnings;
}

}  // namespace execd
