// SPDX-License-Identifier: MIT
#include "water_fill.hpp"

#include <bit>
#include <limits>

namespace selftest {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

// The level (rate per weight) at which the tasks confined to `set` use up its CPUs, frozen tasks taking their
// rates.
double level_of_set(std::uint64_t set, std::span<const Demand> demands, std::uint64_t all,
                    const std::vector<double>& rates, const std::vector<bool>& frozen) {
    double left = std::popcount(set);
    double weight = 0;
    for (std::size_t i = 0; i < demands.size(); ++i) {
        const std::uint64_t mask = demands[i].mask & all;
        if (mask == 0 || (mask & ~set) != 0) {
            continue;
        }
        if (frozen[i]) {
            left -= rates[i];
        } else {
            weight += demands[i].weight;
        }
    }
    return weight > 0 ? left / weight : kUnlimited;
}

}  // namespace

std::vector<double> water_fill(std::uint32_t cpus, std::span<const Demand> demands) {
    const std::uint64_t all = (std::uint64_t{1} << cpus) - 1;
    std::vector<double> rates(demands.size(), 0.0);
    std::vector<bool> frozen(demands.size(), false);
    for (std::size_t i = 0; i < demands.size(); ++i) {
        frozen[i] = (demands[i].mask & all) == 0;
    }
    // The level rises for all tasks together until a set of CPUs is full or a task has a CPU for itself;
    // those concerned keep their rate, the others rise on. Each round freezes at least one task.
    for (;;) {
        double level = kUnlimited;
        std::uint64_t full_set = 0;
        for (std::uint64_t set = 1; set <= all; ++set) {
            const double set_level = level_of_set(set, demands, all, rates, frozen);
            if (set_level < level) {
                level = set_level;
                full_set = set;
            }
        }
        std::size_t capped = demands.size();
        for (std::size_t i = 0; i < demands.size(); ++i) {
            if (!frozen[i] && 1.0 / demands[i].weight < level) {
                level = 1.0 / demands[i].weight;
                capped = i;
            }
        }
        if (level == kUnlimited) {
            return rates;
        }
        for (std::size_t i = 0; i < demands.size(); ++i) {
            const bool in_full_set = (demands[i].mask & all & ~full_set) == 0;
            if (!frozen[i] && (capped < demands.size() ? i == capped : in_full_set)) {
                rates[i] = level * demands[i].weight;
                frozen[i] = true;
            }
        }
    }
}

}  // namespace selftest
