// SPDX-License-Identifier: MIT
#include "plan.hpp"

#include <algorithm>
#include <string_view>

#include "merge.hpp"
#include "start_order.hpp"

namespace execd {
namespace {

std::vector<std::string_view> names_of(const std::vector<ServiceEntry>& services) {
    std::vector<std::string_view> names;
    for (const ServiceEntry& entry : services) {
        names.push_back(entry.service.name);
    }
    return names;
}

void note_outcome(const RecipeFile& file, FileOutcome outcome, std::string_view consequence, Plan& plan) {
    if (outcome == FileOutcome::Missing) {
        plan.notes.push_back(file.path + " not found: " + std::string{consequence});
    } else if (outcome == FileOutcome::Ignored) {
        plan.notes.push_back(file.path + " ignored (recipe error above): " + std::string{consequence});
    }
}

void note_faulty_defaults(const RecipeFile& file, Plan& plan) {
    plan.notes.push_back(file.path + ": [defaults] ignored (recipe error above): built-in defaults apply");
}

template <class Recipe>
void note_defaults(const RecipeFile& file, const SchedRecipe<Recipe>& recipe, Plan& plan) {
    note_outcome(file, recipe.outcome, "built-in defaults apply", plan);
    if (recipe.defaults_faulty) {
        note_faulty_defaults(file, plan);
    }
}

// A table for a service that services.toml does not list.
template <class Recipe>
void reject_unknown_services(const SchedRecipe<Recipe>& recipe, const std::vector<ServiceEntry>& services,
                             ErrorSink& errors) {
    const auto names = names_of(services);
    for (const auto& named : recipe.services) {
        if (std::ranges::find(names, named.name) == names.end()) {
            errors.add(named.at, "unknown service '" + named.name + "'" + suggestion(named.name, names));
        }
    }
}

std::vector<std::string> split_at_commas(std::string_view text) {
    std::vector<std::string> words;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        words.emplace_back(text.substr(0, comma));
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    }
    return words;
}

// neuron.services=: keeps the named services, and of their `after` lists the services that are kept.
void keep_only(std::string_view only, std::vector<ServiceEntry>& services, std::vector<Diagnostic>& errors) {
    const auto wanted = split_at_commas(only);
    const auto names = names_of(services);
    for (const std::string& name : wanted) {
        if (std::ranges::find(names, name) == names.end()) {
            errors.push_back({.file = "neuron.services",
                              .at = {},
                              .what = "unknown service '" + name + "'" + suggestion(name, names)});
        }
    }
    const auto is_unwanted = [&](const std::string& name) {
        return std::ranges::find(wanted, name) == wanted.end();
    };
    std::erase_if(services, [&](const ServiceEntry& entry) { return is_unwanted(entry.service.name); });
    for (ServiceEntry& entry : services) {
        std::erase_if(entry.service.after,
                      [&](const Reference& reference) { return is_unwanted(reference.name); });
    }
}

// Moves the findings of one file to the plan, in the order of the file.
void take_findings(std::vector<Diagnostic>& findings, Plan& plan) {
    std::ranges::stable_sort(findings, {}, &Diagnostic::at);
    for (Diagnostic& finding : findings) {
        auto& kind = finding.severity == Severity::Error ? plan.errors : plan.warnings;
        kind.push_back(std::move(finding));
    }
    findings.clear();
}

// One file of scheduling recipes, checked on its own.
template <class Recipe>
SchedRecipe<Recipe> check_sched_file(const RecipeFile& file, const std::vector<ServiceEntry>& services,
                                     SchedRecipe<Recipe> (*read)(const RecipeFile&, std::vector<Diagnostic>&),
                                     Plan& plan) {
    std::vector<Diagnostic> findings;
    SchedRecipe<Recipe> recipe = read(file, findings);
    ErrorSink sink{file.path, findings};
    reject_unknown_services(recipe, services, sink);
    take_findings(findings, plan);
    return recipe;
}

// The file for all boards with the board's own on top.
template <class Recipe>
SchedRecipe<Recipe> joint_recipe(const RecipeFile& file, const RecipeFile& board_file,
                                 const std::vector<ServiceEntry>& services,
                                 SchedRecipe<Recipe> (*read)(const RecipeFile&, std::vector<Diagnostic>&),
                                 Plan& plan) {
    SchedRecipe<Recipe> recipe = check_sched_file(file, services, read, plan);
    note_defaults(file, recipe, plan);
    if (board_file.text) {
        const SchedRecipe<Recipe> board = check_sched_file(board_file, services, read, plan);
        note_outcome(board_file, board.outcome, "as on any board", plan);
        overlay(recipe, board);
    }
    std::vector<Diagnostic> findings;
    ErrorSink sink{board_file.text ? board_file.path : file.path, findings};
    check_table_roles(recipe, sink);
    take_findings(findings, plan);
    return recipe;
}

}  // namespace

Plan make_plan(const RecipeSources& sources, const PlanOptions& options) {
    Plan plan;
    std::vector<Diagnostic> findings;
    ServicesRecipe services = read_services(sources.services, findings);
    ErrorSink services_sink{sources.services.path, findings};
    check_start_order(services.services, services_sink);
    take_findings(findings, plan);
    note_outcome(sources.services, services.outcome, "no services to start", plan);
    plan.reload_from = services.reload_from;
    plan.is_without_services = services.outcome != FileOutcome::Read;

    SchedRecipe<AffinityRecipe> affinity =
        joint_recipe(sources.affinity, sources.board_affinity, services.services, &read_affinity, plan);
    if (options.cpus_online) {
        const bool defaults_were_faulty = affinity.defaults_faulty;
        reject_offline_masks(*options.cpus_online, services.services, affinity, findings);
        if (affinity.defaults_faulty && !defaults_were_faulty) {
            note_faulty_defaults(sources.affinity, plan);
        }
        take_findings(findings, plan);
    }
    const SchedRecipe<QosRecipe> qos =
        joint_recipe(sources.qos, sources.board_qos, services.services, &read_qos, plan);
    check_service_roles(affinity, qos, services.services, services_sink);
    take_findings(findings, plan);

    if (options.only) {
        keep_only(*options.only, services.services, plan.errors);
    }
    for (ServiceEntry& entry : services.services) {
        ResolvedHints resolved = resolve(entry.service, affinity, qos, options.cpus_online, findings);
        plan.services.push_back({.service = std::move(entry.service),
                                 .hints = resolved.hints,
                                 .origins = std::move(resolved.origins),
                                 .faulty = entry.faulty || resolved.faulty});
    }
    take_findings(findings, plan);
    return plan;
}

}  // namespace execd
