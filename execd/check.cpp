// SPDX-License-Identifier: MIT
#include "check.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "notation.hpp"
#include "recipe_files.hpp"

namespace execd {
namespace {

constexpr std::size_t kColumns = 11;
using Row = std::array<std::string, kColumns>;

std::string cpus_of(const Hints& hints, std::optional<std::uint64_t> cpus_online) {
    if (!hints.cpus) {
        return cpus_online ? format_mask(*cpus_online) : "all";
    }
    return format_mask(cpus_online ? *hints.cpus & *cpus_online : *hints.cpus);
}

std::string_view restart_name(RestartPolicy policy) {
    switch (policy) {
        case RestartPolicy::No:
            return "no";
        case RestartPolicy::OnFailure:
            return "on-failure";
        case RestartPolicy::Always:
            return "always";
    }
    return "unknown";
}

std::string after_of(const Service& service) {
    std::string names;
    for (const Reference& reference : service.after) {
        names += (names.empty() ? "" : ",") + reference.name;
    }
    return names.empty() ? "-" : names;
}

Row row_of(const PlannedService& planned, std::optional<std::uint64_t> cpus_online) {
    const auto& [service, hints, faulty] = planned;
    return {service.name,
            service.program.empty() ? "(none)" : service.program,
            std::string{restart_name(service.restart)},
            cpus_of(hints, cpus_online),
            std::string{policy_name(static_cast<std::uint32_t>(hints.policy))},
            std::string{class_name(static_cast<std::uint32_t>(hints.qos_class))},
            std::to_string(hints.shares),
            format_duration(hints.latency),
            format_duration(hints.burst),
            after_of(service),
            faulty ? "defaults (recipe error)" : ""};
}

}  // namespace

std::string plan_table(const Plan& plan, std::optional<std::uint64_t> cpus_online) {
    std::vector<Row> rows{Row{"SERVICE", "PROGRAM", "RESTART", "CPUS", "POLICY", "CLASS", "SHARES", "LATENCY",
                              "BURST", "AFTER", ""}};
    for (const PlannedService& planned : plan.services) {
        rows.push_back(row_of(planned, cpus_online));
    }
    std::array<std::size_t, kColumns> widths{};
    for (const Row& row : rows) {
        for (std::size_t column = 0; column < kColumns; ++column) {
            widths[column] = std::max(widths[column], row[column].size());
        }
    }
    std::string table;
    for (const Row& row : rows) {
        std::string line;
        for (std::size_t column = 0; column < kColumns; ++column) {
            line += row[column] + std::string(widths[column] - row[column].size() + 2, ' ');
        }
        line.erase(line.find_last_not_of(' ') + 1);
        table += line + '\n';
    }
    return table;
}

CheckReport check_recipes(const std::string& directory, std::optional<std::uint64_t> cpus_online) {
    std::vector<Diagnostic> errors;
    const RecipeSources sources = load_recipes(directory, errors);
    if (errors.empty() && !sources.services.text && !sources.affinity.text && !sources.qos.text) {
        errors.push_back({.file = directory, .at = {}, .what = "there are no recipes here"});
    }
    Plan plan = make_plan(sources, {.cpus_online = cpus_online, .only = std::nullopt});
    errors.insert(errors.end(), plan.errors.begin(), plan.errors.end());

    CheckReport report;
    report.has_errors = !errors.empty();
    for (const Diagnostic& error : errors) {
        report.messages += to_string(error) + '\n';
    }
    for (const std::string& note : plan.notes) {
        report.messages += note + '\n';
    }
    report.plan = plan_table(plan, cpus_online) + std::to_string(plan.services.size()) + " services, " +
                  std::to_string(errors.size()) + (errors.size() == 1 ? " error\n" : " errors\n");
    return report;
}

}  // namespace execd
