// SPDX-License-Identifier: MIT
#include "plan.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "notation.hpp"
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

template <class Recipe>
void note_defaults(const RecipeFile& file, const SchedRecipe<Recipe>& recipe, Plan& plan) {
    note_outcome(file, recipe.outcome, "built-in defaults apply", plan);
    if (recipe.defaults_faulty) {
        plan.notes.push_back(file.path +
                             ": [defaults] ignored (recipe error above): built-in defaults apply");
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

template <class Recipe>
const NamedRecipe<Recipe>* find_table(const SchedRecipe<Recipe>& recipe, std::string_view service) {
    const auto found = std::ranges::find(recipe.services, service, &NamedRecipe<Recipe>::name);
    return found == recipe.services.end() ? nullptr : &*found;
}

// Key by key: the service's own value, else the one of [defaults], else the built-in one that `hints` holds.
void merge(const AffinityRecipe& own, const AffinityRecipe& defaults, Hints& hints) {
    if (const auto& cpus = own.cpus ? own.cpus : defaults.cpus) {
        hints.cpus = cpus->mask;
    }
    hints.policy = own.policy.value_or(defaults.policy.value_or(hints.policy));
}

void merge(const QosRecipe& own, const QosRecipe& defaults, Hints& hints) {
    hints.qos_class = own.qos_class.value_or(defaults.qos_class.value_or(hints.qos_class));
    hints.shares = own.shares.value_or(defaults.shares.value_or(hints.shares));
    hints.latency = own.latency.value_or(defaults.latency.value_or(hints.latency));
    hints.burst = own.burst.value_or(defaults.burst.value_or(hints.burst));
}

template <class Recipe>
void apply_recipe(const SchedRecipe<Recipe>& recipe, std::vector<PlannedService>& services) {
    for (PlannedService& planned : services) {
        const NamedRecipe<Recipe>* const table = find_table(recipe, planned.service.name);
        merge(table == nullptr ? Recipe{} : table->recipe, recipe.defaults, planned.hints);
        planned.faulty = planned.faulty || (table != nullptr && table->faulty);
    }
}

// A mask without any CPU that runs: an error, and the table is as if it were not there. Tables of services
// that are not listed have had their error.
void reject_offline_masks(std::uint64_t cpus_online, const std::vector<ServiceEntry>& services,
                          SchedRecipe<AffinityRecipe>& recipe, ErrorSink& errors) {
    const auto is_offline = [&](const AffinityRecipe& table, const std::string& whose) {
        if (!table.cpus || (table.cpus->mask & cpus_online) != 0) {
            return false;
        }
        errors.add(table.cpus->at, "none of the cpus of " + whose +
                                       " is online (mask=" + format_mask(table.cpus->mask) +
                                       " online=" + format_mask(cpus_online) + ")");
        return true;
    };
    if (is_offline(recipe.defaults, "[defaults]")) {
        recipe.defaults = {};
        recipe.defaults_faulty = true;
    }
    const auto names = names_of(services);
    for (auto& table : recipe.services) {
        if (std::ranges::find(names, table.name) != names.end() &&
            is_offline(table.recipe, "svc=" + table.name)) {
            table.recipe = {};
            table.faulty = true;
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

// Moves the errors of one file to the plan, in the order of the file.
void take_errors(std::vector<Diagnostic>& errors, Plan& plan) {
    std::ranges::stable_sort(errors, {}, &Diagnostic::at);
    std::ranges::move(errors, std::back_inserter(plan.errors));
    errors.clear();
}

}  // namespace

Plan make_plan(const RecipeSources& sources, const PlanOptions& options) {
    Plan plan;
    std::vector<Diagnostic> errors;
    const auto sink = [&](const RecipeFile& file) { return ErrorSink{file.path, errors}; };

    ServicesRecipe services = read_services(sources.services, errors);
    ErrorSink services_sink = sink(sources.services);
    check_start_order(services.services, services_sink);
    take_errors(errors, plan);
    note_outcome(sources.services, services.outcome, "no services to start", plan);

    SchedRecipe<AffinityRecipe> affinity = read_affinity(sources.affinity, errors);
    ErrorSink affinity_sink = sink(sources.affinity);
    reject_unknown_services(affinity, services.services, affinity_sink);
    if (options.cpus_online) {
        reject_offline_masks(*options.cpus_online, services.services, affinity, affinity_sink);
    }
    take_errors(errors, plan);
    note_defaults(sources.affinity, affinity, plan);

    const SchedRecipe<QosRecipe> qos = read_qos(sources.qos, errors);
    ErrorSink qos_sink = sink(sources.qos);
    reject_unknown_services(qos, services.services, qos_sink);
    take_errors(errors, plan);
    note_defaults(sources.qos, qos, plan);

    if (options.only) {
        keep_only(*options.only, services.services, plan.errors);
    }
    for (ServiceEntry& entry : services.services) {
        plan.services.push_back({.service = std::move(entry.service), .hints = {}, .faulty = entry.faulty});
    }
    apply_recipe(affinity, plan.services);
    apply_recipe(qos, plan.services);
    return plan;
}

}  // namespace execd
