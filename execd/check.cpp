// SPDX-License-Identifier: MIT
#include "check.hpp"

#include "explain.hpp"
#include "recipe_files.hpp"

namespace execd {
namespace {

std::string counted(std::size_t count, const std::string& what) {
    return std::to_string(count) + ' ' + what + (count == 1 ? "" : "s");
}

}  // namespace

CheckReport check_recipes(const std::string& directory, const CheckOptions& options) {
    std::vector<Diagnostic> errors;
    BoardNames board;
    if (options.board) {
        board = {.names = {*options.board}, .is_given = true};
    }
    const RecipeSources sources = load_recipes(directory, board, errors);
    if (errors.empty() && !sources.services.text && !sources.affinity.text && !sources.qos.text) {
        errors.push_back({.file = directory, .at = {}, .what = "there are no recipes here"});
    }
    Plan plan = make_plan(sources, {.cpus_online = options.cpus_online, .only = std::nullopt});
    plan.errors.insert(plan.errors.begin(), errors.begin(), errors.end());
    if (options.cpus_online) {
        for (std::string& warning : budget_warnings(plan, *options.cpus_online)) {
            plan.warnings.push_back(
                {.file = directory, .at = {}, .what = std::move(warning), .severity = Severity::Warning});
        }
    }

    CheckReport report;
    report.has_errors = !plan.errors.empty();
    for (const auto* const findings : {&plan.errors, &plan.warnings}) {
        for (const Diagnostic& finding : *findings) {
            report.messages += to_string(finding) + '\n';
        }
    }
    for (const std::string& note : plan.notes) {
        report.messages += note + '\n';
    }
    if (options.json) {
        report.plan = plan_json(plan, options.cpus_online, sources.board);
        return report;
    }
    report.plan = plan_table(plan, options.cpus_online) + plan_details(plan, options.cpus_online) + '\n' +
                  counted(plan.services.size(), "service") + ", " + counted(plan.errors.size(), "error") +
                  ", " + counted(plan.warnings.size(), "warning") + '\n';
    return report;
}

}  // namespace execd
