// SPDX-License-Identifier: MIT
#include "fair_shares.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "linear_program.hpp"

namespace sched_sim {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();
// Demands and capacities are near 1 and a machine has at most 64 harts, so the sums of doubles compared below
// are right to about 1e-13.
constexpr double kRounding = 1e-12;

// Tasks that cannot be told apart.
struct Group {
    std::uint64_t mask{0};
    double weight{1};
    double limit{1};
    double members{0};
    bool frozen{false};
    double rate{0};  // of one member, once frozen
};

// Tasks with one mask, as one node of the flow network.
struct MaskNode {
    std::uint64_t mask{0};
    double demand{0};
    std::vector<double> sent;  // to each hart
};

// Is it possible to serve every mask's demand? If not: a set of harts that cannot serve those confined to it.
// Ford-Fulkerson with breadth-first search over masks and harts; harts of capacity 1.
class FlowCheck {
  public:
    FlowCheck(std::uint32_t harts, std::vector<MaskNode>& nodes)
        : harts_{harts}, nodes_{nodes}, free_(harts, 1.0) {}

    // 0: feasible.
    std::uint64_t find_overfull_set() {
        for (MaskNode& node : nodes_) {
            node.sent.assign(harts_, 0.0);
        }
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            double left = nodes_[i].demand;
            for (std::uint32_t h = 0; h < harts_ && left > 0; ++h) {
                if (((nodes_[i].mask >> h) & 1U) != 0) {
                    const double part = std::min(left, free_[h]);
                    nodes_[i].sent[h] += part;
                    free_[h] -= part;
                    left -= part;
                }
            }
            while (left > kRounding) {
                const double gained = augment(i, left);
                if (gained <= 0) {
                    return reached_;
                }
                left -= gained;
            }
        }
        return 0;
    }

  private:
    // Finds a path from mask i to a hart with free time, moving others' work off the way. Post: when there is
    // none, reached_ holds every hart that could be reached, all full.
    double augment(std::size_t start, double wanted) {
        constexpr std::size_t kNone = ~std::size_t{0};
        std::vector<std::size_t> hart_from(harts_, kNone);            // the mask node that reached it
        std::vector<std::uint32_t> mask_from(nodes_.size(), harts_);  // the hart that reached it
        std::vector<std::size_t> frontier{start};
        std::vector<bool> seen(nodes_.size(), false);
        seen[start] = true;
        reached_ = 0;
        for (std::size_t next = 0; next < frontier.size(); ++next) {
            const std::size_t i = frontier[next];
            for (std::uint64_t rest = nodes_[i].mask & ~reached_; rest != 0; rest &= rest - 1) {
                const auto h = static_cast<std::uint32_t>(std::countr_zero(rest));
                reached_ |= std::uint64_t{1} << h;
                hart_from[h] = i;
                if (free_[h] > kRounding) {
                    return push_along(h, wanted, start, hart_from, mask_from);
                }
                for (std::size_t j = 0; j < nodes_.size(); ++j) {
                    if (!seen[j] && nodes_[j].sent[h] > kRounding) {
                        seen[j] = true;
                        mask_from[j] = h;
                        frontier.push_back(j);
                    }
                }
            }
        }
        return 0;
    }

    double push_along(std::uint32_t end, double wanted, std::size_t start,
                      const std::vector<std::size_t>& hart_from,
                      const std::vector<std::uint32_t>& mask_from) {
        double amount = std::min(wanted, free_[end]);
        for (std::size_t i = hart_from[end]; i != start; i = hart_from[mask_from[i]]) {
            amount = std::min(amount, nodes_[i].sent[mask_from[i]]);
        }
        free_[end] -= amount;
        std::uint32_t to = end;
        for (std::size_t i = hart_from[end];; i = hart_from[to]) {
            nodes_[i].sent[to] += amount;
            if (i == start) {
                return amount;
            }
            nodes_[i].sent[mask_from[i]] -= amount;
            to = mask_from[i];
        }
    }

    std::uint32_t harts_;
    std::vector<MaskNode>& nodes_;
    std::vector<double> free_;
    std::uint64_t reached_{0};
};

// The level at which those confined to `set` use it up, frozen groups taking their rates.
double level_of(std::uint64_t set, const std::vector<Group>& groups) {
    double left = std::popcount(set);
    double weight = 0;
    for (const Group& group : groups) {
        if ((group.mask & ~set) == 0) {
            (group.frozen ? left : weight) += group.members * (group.frozen ? -group.rate : group.weight);
        }
    }
    return weight > 0 ? std::max(left, 0.0) / weight : kUnlimited;
}

std::uint64_t find_overfull_set(std::uint32_t harts, const std::vector<Group>& groups, double level) {
    std::map<std::uint64_t, double> demand;
    for (const Group& group : groups) {
        demand[group.mask] += group.members * (group.frozen ? group.rate : level * group.weight);
    }
    std::vector<MaskNode> nodes;
    nodes.reserve(demand.size());
    for (const auto& [mask, sum] : demand) {
        nodes.push_back({.mask = mask, .demand = sum, .sent = {}});
    }
    return FlowCheck{harts, nodes}.find_overfull_set();
}

void solve_by_flows(std::uint32_t harts, std::vector<Group>& groups) {
    const auto is_open = [](const Group& group) { return !group.frozen; };
    while (std::ranges::any_of(groups, is_open)) {
        double level = kUnlimited;
        for (const Group& group : groups) {
            level = group.frozen ? level : std::min(level, group.limit / group.weight);
        }
        std::uint64_t tight = 0;
        while (const std::uint64_t set = find_overfull_set(harts, groups, level)) {
            const double lower = level_of(set, groups);
            if (!(lower < level)) {
                break;  // overfull by rounding only
            }
            level = lower;
            tight = set;
        }
        for (Group& group : groups) {
            const bool stops =
                tight != 0 ? (group.mask & ~tight) == 0 : level * group.weight >= group.limit - kRounding;
            if (!group.frozen && stops) {
                group.frozen = true;
                group.rate = std::min(group.limit, level * group.weight);
            }
        }
    }
}

// The groups whose limit comes first below `level` keep to it; true when there are any.
bool freeze_at_limits(std::vector<Group>& groups, double level) {
    double first = level;
    for (const Group& group : groups) {
        first = group.frozen ? first : std::min(first, group.limit / group.weight);
    }
    if (first >= level) {
        return false;
    }
    for (Group& group : groups) {
        if (!group.frozen && group.limit / group.weight <= first) {
            group.frozen = true;
            group.rate = group.limit;
        }
    }
    return true;
}

// One round with unequal capacities: the highest common level of the open groups, and who cannot rise above
// it. Variables: time of group g on hart h, then the level.
void solve_by_programs(std::span<const double> capacities, std::vector<Group>& groups) {
    const std::size_t harts = capacities.size();
    const std::size_t level_column = groups.size() * harts;
    while (std::ranges::any_of(groups, [](const Group& group) { return !group.frozen; })) {
        LinearProgram program{level_column + 1};
        for (std::size_t h = 0; h < harts; ++h) {
            std::vector<double> row(level_column + 1, 0.0);
            for (std::size_t g = 0; g < groups.size(); ++g) {
                row[g * harts + h] = ((groups[g].mask >> h) & 1U) != 0 ? 1.0 : 0.0;
            }
            program.add_at_most(row, 1.0);
        }
        for (std::size_t g = 0; g < groups.size(); ++g) {
            std::vector<double> time(level_column + 1, 0.0);
            std::fill_n(time.begin() + static_cast<std::ptrdiff_t>(g * harts), harts, 1.0);
            program.add_at_most(time, groups[g].members);
        }
        const std::size_t first_service = harts + groups.size();
        for (std::size_t g = 0; g < groups.size(); ++g) {
            std::vector<double> row(level_column + 1, 0.0);  // rate - work <= 0
            for (std::size_t h = 0; h < harts; ++h) {
                row[g * harts + h] = ((groups[g].mask >> h) & 1U) != 0 ? -capacities[h] : 0.0;
            }
            row[level_column] = groups[g].frozen ? 0.0 : groups[g].weight * groups[g].members;
            program.add_at_most(row, groups[g].frozen ? -groups[g].rate * groups[g].members : 0.0);
        }
        const LinearProgram::Solution solution = program.maximize_variable(level_column);
        if (freeze_at_limits(groups, solution.values[level_column])) {
            continue;
        }
        for (std::size_t g = 0; g < groups.size(); ++g) {
            // A price above zero: giving this group more would lower the level.
            if (!groups[g].frozen && solution.prices[first_service + g] > 1e-9) {
                groups[g].frozen = true;
                groups[g].rate = solution.values[level_column] * groups[g].weight;
            }
        }
    }
}

}  // namespace

std::vector<double> fair_shares(std::span<const double> capacities, std::span<const Demand> demands) {
    const std::uint64_t machine =
        capacities.size() >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << capacities.size()) - 1;
    using Key = std::tuple<std::uint64_t, double, double>;
    std::map<Key, std::size_t> index;
    std::vector<Group> groups;
    const double first = capacities.front();
    const bool is_uniform = std::ranges::all_of(capacities, [first](double c) { return c == first; });
    // With equal harts everything is in units of one of them, and one is the most a task can have.
    const double unit = is_uniform ? first : 1.0;
    const auto key_of = [&](const Demand& demand) {
        const double limit = is_uniform ? std::min(1.0, demand.limit / unit) : demand.limit;
        return Key{demand.mask & machine, demand.weight, limit};
    };
    for (const Demand& demand : demands) {
        const Key key = key_of(demand);
        const auto [found, is_new] = index.try_emplace(key, groups.size());
        if (is_new) {
            groups.push_back({.mask = std::get<0>(key),
                              .weight = demand.weight,
                              .limit = std::get<2>(key),
                              .members = 0,
                              .frozen = std::get<0>(key) == 0,
                              .rate = 0});
        }
        groups[found->second].members += 1;
    }
    if (is_uniform) {
        solve_by_flows(static_cast<std::uint32_t>(capacities.size()), groups);
    } else {
        solve_by_programs(capacities, groups);
    }
    std::vector<double> rates;
    rates.reserve(demands.size());
    for (const Demand& demand : demands) {
        rates.push_back(groups[index.at(key_of(demand))].rate * unit);
    }
    return rates;
}

std::vector<double> fair_shares(std::uint32_t harts, std::span<const Demand> demands) {
    return fair_shares(std::vector<double>(harts, 1.0), demands);
}

}  // namespace sched_sim
