// SPDX-License-Identifier: MIT
#include "explain.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "notation.hpp"

namespace execd {
namespace {

constexpr std::size_t kColumns = 12;
using Row = std::array<std::string, kColumns>;

std::string mask_text(std::uint64_t cpus) {
    return ~cpus == 0 ? "all" : format_mask(cpus);
}

std::string class_text(nexus_abi::QosClass qos_class) {
    return std::string{class_name(static_cast<std::uint32_t>(qos_class))};
}

std::string after_of(const Service& service) {
    std::string names;
    for (const Reference& reference : service.after) {
        names += (names.empty() ? "" : ",") + reference.name;
    }
    return names.empty() ? "-" : names;
}

// 0.0766 -> "7.7%"
std::string percent(double fraction) {
    const long tenths = std::lround(fraction * 1000);
    return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + '%';
}

Row row_of(const PlannedService& planned, std::optional<std::uint64_t> cpus_online,
           std::optional<double> expected) {
    const Service& service = planned.service;
    const Hints& hints = planned.hints;
    return {service.name,
            service.program.empty() ? "(none)" : service.program,
            std::string{restart_name(service.restart)},
            mask_text(shown_cpus(hints, cpus_online)),
            std::string{policy_name(static_cast<std::uint32_t>(hints.policy))},
            class_text(class_in_effect(hints)),
            std::to_string(shares_in_effect(hints)),
            format_duration(hints.latency),
            format_duration(hints.burst),
            expected ? percent(*expected) : "-",
            after_of(service),
            planned.faulty ? "defaults (recipe error)" : ""};
}

template <std::size_t Columns>
std::string align(const std::vector<std::array<std::string, Columns>>& rows, std::string_view indent) {
    std::array<std::size_t, Columns> widths{};
    for (const auto& row : rows) {
        for (std::size_t column = 0; column < Columns; ++column) {
            widths[column] = std::max(widths[column], row[column].size());
        }
    }
    std::string table;
    for (const auto& row : rows) {
        std::string line{indent};
        for (std::size_t column = 0; column < Columns; ++column) {
            line += row[column] + std::string(widths[column] - row[column].size() + 2, ' ');
        }
        line.erase(line.find_last_not_of(' ') + 1);
        table += line + '\n';
    }
    return table;
}

std::vector<std::optional<double>> expected_or_unknown(const Plan& plan,
                                                       std::optional<std::uint64_t> cpus_online) {
    std::vector<std::optional<double>> expected(plan.services.size());
    if (cpus_online) {
        std::ranges::copy(expected_shares(plan, *cpus_online), expected.begin());
    }
    return expected;
}

std::string origin_text(const Origin& origin) {
    if (origin.file.empty()) {
        return "built in";
    }
    return origin.file + ':' + std::to_string(origin.at.line) + " [" + origin.table + ']';
}

std::string budget_text(const Budget& budget) {
    return budget == Budget{} ? "none"
                              : format_duration(budget.runtime) + '/' + format_duration(budget.period);
}

}  // namespace

std::vector<ExplainedValue> explained_values(const PlannedService& planned,
                                             std::optional<std::uint64_t> cpus_online) {
    const Hints& hints = planned.hints;
    const HintOrigins& origins = planned.origins;
    std::vector<ExplainedValue> values{
        {"cpus", mask_text(usable_cpus(hints, cpus_online)), origins.cpus},
        {"policy", std::string{policy_name(static_cast<std::uint32_t>(hints.policy))}, origins.policy},
        {"class", class_text(class_in_effect(hints)), origins.qos_class},
        {"shares", std::to_string(shares_in_effect(hints)), origins.shares},
        {"latency", format_duration(hints.latency), origins.latency},
        {"burst", format_duration(hints.burst), origins.burst}};
    const auto add_given = [&](std::string key, std::string text, const Origin& origin) {
        if (!origin.file.empty()) {
            values.push_back({std::move(key), std::move(text), origin});
        }
    };
    add_given("prefer", mask_text(shown_cpus(hints, cpus_online)), origins.prefer);
    add_given("budget", budget_text(hints.budget), origins.budget);
    add_given("inherit_budget", hints.inherit_budget ? "true" : "false", origins.inherit_budget);
    add_given("reset_on_spawn", hints.reset_on_spawn ? "true" : "false", origins.reset_on_spawn);
    add_given("max_class", class_text(hints.max_class.value_or(hints.qos_class)), origins.max_class);
    add_given("max_shares", std::to_string(hints.max_shares.value_or(nexus_abi::kSharesMax)),
              origins.max_shares);
    add_given("limit_cpus", mask_text(hints.limit_cpus.value_or(~std::uint64_t{0})), origins.limit_cpus);
    add_given("group_shares", std::to_string(hints.group_shares), origins.group_shares);
    return values;
}

std::string plan_table(const Plan& plan, std::optional<std::uint64_t> cpus_online) {
    std::vector<Row> rows{Row{"SERVICE", "PROGRAM", "RESTART", "CPUS", "POLICY", "CLASS", "SHARES", "LATENCY",
                              "BURST", "EXPECTED", "AFTER", ""}};
    const auto expected = expected_or_unknown(plan, cpus_online);
    for (std::size_t i = 0; i < plan.services.size(); ++i) {
        rows.push_back(row_of(plan.services[i], cpus_online, expected[i]));
    }
    return align(rows, "");
}

std::string plan_details(const Plan& plan, std::optional<std::uint64_t> cpus_online) {
    std::string text;
    for (const PlannedService& planned : plan.services) {
        std::vector<std::array<std::string, 3>> rows;
        for (const ExplainedValue& value : explained_values(planned, cpus_online)) {
            rows.push_back({value.key, value.text, origin_text(value.origin)});
        }
        const std::optional<Reference>& role = planned.service.role;
        text +=
            "\nsvc=" + planned.service.name + (role ? " role=" + role->name : "") + '\n' + align(rows, "  ");
    }
    return text;
}

}  // namespace execd
