// SPDX-License-Identifier: MIT
// What a plan means on a machine of known CPUs: the values in effect with their origins, and what each
// service can expect when all are busy. As text for people and as JSON for programs. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plan.hpp"

namespace execd {

// What a service gets of a CPU, 0..1 (one busy thread each), when every service is busy all the time, in the
// order of the plan. Exact on one CPU and among services of one class: then it is max-min fairness with
// masks. Services of several classes on several CPUs: each class weighs 1, 16 or 64 (idle, normal,
// interactive; perfburst is interactive in the long run), split among its services by their shares. A budget
// caps.
[[nodiscard]] std::vector<double> expected_shares(const Plan& plan, std::uint64_t cpus_online);

// Budgets that cannot all be used up: those confined to a set of CPUs sum up to more than 90 % of it.
[[nodiscard]] std::vector<std::string> budget_warnings(const Plan& plan, std::uint64_t cpus_online);

// The plan as a table with a heading, one service a line.
[[nodiscard]] std::string plan_table(const Plan& plan, std::optional<std::uint64_t> cpus_online);

// Each value of each service with the place that says so.
[[nodiscard]] std::string plan_details(const Plan& plan, std::optional<std::uint64_t> cpus_online);

// The same and the findings, as one JSON object; docs/recipes.md describes it.
[[nodiscard]] std::string plan_json(const Plan& plan, std::optional<std::uint64_t> cpus_online,
                                    const std::string& board);

// ---- Shared by the two renderings ----

// One value in effect.
struct ExplainedValue {
    std::string key;   // as in a recipe
    std::string text;  // as in a recipe, without quotes
    Origin origin;     // no file: built in
};
// cpus, policy, class, shares, latency and burst always; the others where a recipe gives them.
[[nodiscard]] std::vector<ExplainedValue> explained_values(const PlannedService& planned,
                                                           std::optional<std::uint64_t> cpus_online);

}  // namespace execd
