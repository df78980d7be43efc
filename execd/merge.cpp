// SPDX-License-Identifier: MIT
#include "merge.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "notation.hpp"

namespace execd {
namespace {

using nexus_abi::AffinityPolicy;

template <class Recipe>
const NamedRecipe<Recipe>* find_named(const std::vector<NamedRecipe<Recipe>>& tables, std::string_view name) {
    const auto found = std::ranges::find(tables, name, &NamedRecipe<Recipe>::name);
    return found == tables.end() ? nullptr : &*found;
}

template <class Recipe>
std::vector<std::string_view> names_of(const std::vector<NamedRecipe<Recipe>>& tables) {
    std::vector<std::string_view> names;
    for (const auto& table : tables) {
        names.push_back(table.name);
    }
    return names;
}

// ---- Overlay ----

template <class T>
void replace(std::optional<T>& base, const std::optional<T>& over) {
    if (over) {
        base = over;
    }
}

void replace_keys(AffinityRecipe& base, const AffinityRecipe& over) {
    replace(base.cpus, over.cpus);
    replace(base.prefer, over.prefer);
    replace(base.policy, over.policy);
    replace(base.limit_cpus, over.limit_cpus);
}

void replace_keys(QosRecipe& base, const QosRecipe& over) {
    replace(base.qos_class, over.qos_class);
    replace(base.shares, over.shares);
    replace(base.latency, over.latency);
    replace(base.burst, over.burst);
    replace(base.budget, over.budget);
    replace(base.inherit_budget, over.inherit_budget);
    replace(base.reset_on_spawn, over.reset_on_spawn);
    replace(base.max_class, over.max_class);
    replace(base.max_shares, over.max_shares);
    replace(base.group_shares, over.group_shares);
}

template <class Recipe>
void overlay_tables(std::vector<NamedRecipe<Recipe>>& base, const std::vector<NamedRecipe<Recipe>>& over) {
    for (const NamedRecipe<Recipe>& table : over) {
        const auto same = std::ranges::find(base, table.name, &NamedRecipe<Recipe>::name);
        if (same == base.end()) {
            base.push_back(table);
            continue;
        }
        same->faulty = same->faulty || table.faulty;
        replace_keys(same->recipe, table.recipe);
        replace(same->role, table.role);
        if (same->faulty) {
            same->recipe = {};
        }
    }
}

template <class Recipe>
void overlay_recipe(SchedRecipe<Recipe>& base, const SchedRecipe<Recipe>& board) {
    base.defaults_faulty = base.defaults_faulty || board.defaults_faulty;
    replace_keys(base.defaults, board.defaults);
    if (base.defaults_faulty) {
        base.defaults = {};
    }
    overlay_tables(base.roles, board.roles);
    overlay_tables(base.services, board.services);
}

// ---- Roles ----

template <class Recipe>
void reject_unknown_roles(SchedRecipe<Recipe>& recipe, ErrorSink& errors) {
    const auto names = names_of(recipe.roles);
    for (NamedRecipe<Recipe>& table : recipe.services) {
        if (table.role && std::ranges::find(names, table.role->name) == names.end()) {
            errors.add(table.role->at,
                       "unknown role '" + table.role->name + "'" + suggestion(table.role->name, names));
            table.recipe = {};
            table.role.reset();
            table.faulty = true;
        }
    }
}

// ---- Levels ----

// The tables that say something about one service, the strongest first.
template <class Recipe>
struct Levels {
    std::array<const Recipe*, 3> recipes{};
    bool faulty{false};
};

template <class Recipe>
Levels<Recipe> levels_of(const Service& service, const SchedRecipe<Recipe>& recipe) {
    Levels<Recipe> levels;
    const NamedRecipe<Recipe>* const own = find_named(recipe.services, service.name);
    const std::optional<Reference>& role_name = own != nullptr && own->role ? own->role : service.role;
    const NamedRecipe<Recipe>* const role = role_name ? find_named(recipe.roles, role_name->name) : nullptr;
    if (own != nullptr) {
        levels.recipes[0] = &own->recipe;
        levels.faulty = own->faulty;
    }
    if (role != nullptr) {
        levels.recipes[1] = &role->recipe;
        levels.faulty = levels.faulty || role->faulty;
    }
    levels.recipes[2] = &recipe.defaults;
    return levels;
}

// The strongest level that has the key gives the value; none: it stays.
template <class Recipe, class T, class Value>
void take(const Levels<Recipe>& levels, std::optional<Placed<T>> Recipe::* key, Value& value,
          Origin& origin) {
    for (const Recipe* const recipe : levels.recipes) {
        if (recipe == nullptr) {
            continue;
        }
        if (const std::optional<Placed<T>>& placed = recipe->*key; placed.has_value()) {
            value = placed->value;
            origin = placed->origin;
            return;
        }
    }
}

std::string whose(const Service& service) {
    return "svc=" + service.name;
}

std::string place_of(const Origin& origin) {
    return origin.file + ':' + std::to_string(origin.at.line);
}

void report(std::vector<Diagnostic>& findings, const Origin& origin, std::string what,
            Severity severity = Severity::Error) {
    findings.push_back({.file = origin.file, .at = origin.at, .what = std::move(what), .severity = severity});
}

void warn(std::vector<Diagnostic>& findings, const Origin& origin, std::string what) {
    report(findings, origin, std::move(what), Severity::Warning);
}

// ---- Affinity ----

// Without a list of its own, policy prefer takes `cpus` for the list, and the service may run everywhere.
void settle_prefer(Hints& hints, HintOrigins& origins) {
    if (hints.policy != AffinityPolicy::Prefer) {
        hints.prefer.reset();
        origins.prefer = {};
    } else if (!hints.prefer) {
        hints.prefer = hints.cpus;
        origins.prefer = origins.cpus;
        hints.cpus.reset();
        origins.cpus = {};
    }
}

// Whether the masks leave the service a CPU. Pre: each alone does.
bool check_masks(const Service& service, std::optional<std::uint64_t> cpus_online, Hints& hints,
                 HintOrigins& origins, std::vector<Diagnostic>& findings) {
    if (usable_cpus(hints, cpus_online) == 0) {
        const std::uint64_t cpus = hints.cpus.value_or(0);
        report(findings, origins.cpus,
               "none of the cpus of " + whose(service) + " is within limit_cpus of " +
                   place_of(origins.limit_cpus) + " (mask=" + format_mask(cpus) +
                   " limit=" + format_mask(hints.limit_cpus.value_or(0)) + ")");
        return false;
    }
    if (!hints.prefer || shown_cpus(hints, cpus_online) != 0) {
        return true;
    }
    const std::string list = "prefer=" + format_mask(*hints.prefer);
    if (shown_cpus(hints, std::nullopt) == 0) {
        report(findings, origins.prefer,
               "none of the cpus that " + whose(service) + " prefers is among those it may use (" + list +
                   " mask=" + format_mask(usable_cpus(hints, std::nullopt)) + ")");
        return false;
    }
    warn(findings, origins.prefer,
         "none of the cpus that " + whose(service) + " prefers is online (" + list +
             "): it runs as with policy = \"pin\"");
    hints.prefer.reset();
    hints.policy = AffinityPolicy::Pin;
    return true;
}

bool resolve_affinity(const Service& service, const Levels<AffinityRecipe>& levels,
                      std::optional<std::uint64_t> cpus_online, ResolvedHints& resolved,
                      std::vector<Diagnostic>& findings) {
    Hints hints = resolved.hints;
    HintOrigins origins = resolved.origins;
    take(levels, &AffinityRecipe::cpus, hints.cpus, origins.cpus);
    take(levels, &AffinityRecipe::prefer, hints.prefer, origins.prefer);
    take(levels, &AffinityRecipe::policy, hints.policy, origins.policy);
    take(levels, &AffinityRecipe::limit_cpus, hints.limit_cpus, origins.limit_cpus);
    settle_prefer(hints, origins);
    if (!check_masks(service, cpus_online, hints, origins, findings)) {
        return false;
    }
    resolved.hints = hints;
    resolved.origins = origins;
    return true;
}

// ---- QoS ----

void warn_of_ceilings(const Service& service, const Hints& hints, const HintOrigins& origins,
                      std::vector<Diagnostic>& findings) {
    if (hints.max_class && hints.qos_class > *hints.max_class) {
        warn(findings, origins.qos_class,
             "class = \"" + std::string{class_name(static_cast<std::uint32_t>(hints.qos_class))} + "\" of " +
                 whose(service) + " is above max_class of " + place_of(origins.max_class) + ", which holds");
    }
    if (hints.max_shares && hints.shares > *hints.max_shares) {
        warn(findings, origins.shares,
             "shares = " + std::to_string(hints.shares) + " of " + whose(service) +
                 " is above max_shares of " + place_of(origins.max_shares) + ", which holds");
    }
    if (hints.inherit_budget && hints.budget == Budget{}) {
        warn(findings, origins.inherit_budget,
             "'inherit_budget' of " + whose(service) + " has no effect without a budget");
    }
}

void resolve_qos(const Service& service, const Levels<QosRecipe>& levels, ResolvedHints& resolved,
                 std::vector<Diagnostic>& findings) {
    Hints& hints = resolved.hints;
    HintOrigins& origins = resolved.origins;
    take(levels, &QosRecipe::qos_class, hints.qos_class, origins.qos_class);
    take(levels, &QosRecipe::shares, hints.shares, origins.shares);
    take(levels, &QosRecipe::latency, hints.latency, origins.latency);
    take(levels, &QosRecipe::burst, hints.burst, origins.burst);
    take(levels, &QosRecipe::budget, hints.budget, origins.budget);
    take(levels, &QosRecipe::inherit_budget, hints.inherit_budget, origins.inherit_budget);
    take(levels, &QosRecipe::reset_on_spawn, hints.reset_on_spawn, origins.reset_on_spawn);
    take(levels, &QosRecipe::max_class, hints.max_class, origins.max_class);
    take(levels, &QosRecipe::max_shares, hints.max_shares, origins.max_shares);
    take(levels, &QosRecipe::group_shares, hints.group_shares, origins.group_shares);
    warn_of_ceilings(service, hints, origins, findings);
}

}  // namespace

void overlay(SchedRecipe<AffinityRecipe>& base, const SchedRecipe<AffinityRecipe>& board) {
    overlay_recipe(base, board);
}

void overlay(SchedRecipe<QosRecipe>& base, const SchedRecipe<QosRecipe>& board) {
    overlay_recipe(base, board);
}

void check_table_roles(SchedRecipe<AffinityRecipe>& recipe, ErrorSink& errors) {
    reject_unknown_roles(recipe, errors);
}

void check_table_roles(SchedRecipe<QosRecipe>& recipe, ErrorSink& errors) {
    reject_unknown_roles(recipe, errors);
}

void check_service_roles(const SchedRecipe<AffinityRecipe>& affinity, const SchedRecipe<QosRecipe>& qos,
                         std::vector<ServiceEntry>& services, ErrorSink& errors) {
    auto names = names_of(affinity.roles);
    std::ranges::copy(names_of(qos.roles), std::back_inserter(names));
    for (ServiceEntry& entry : services) {
        const std::optional<Reference> role = entry.service.role;
        if (role && std::ranges::find(names, role->name) == names.end()) {
            errors.add(role->at, "unknown role '" + role->name + "'" + suggestion(role->name, names));
            entry.service.role.reset();
            entry.faulty = true;
        }
    }
}

void reject_offline_masks(std::uint64_t cpus_online, const std::vector<ServiceEntry>& services,
                          SchedRecipe<AffinityRecipe>& recipe, std::vector<Diagnostic>& errors) {
    const auto is_offline = [&](const std::optional<Placed<std::uint64_t>>& set, std::string_view key,
                                const std::string& owner) {
        if (!set || (set->value & cpus_online) != 0) {
            return false;
        }
        report(errors, set->origin,
               "none of the " + std::string{key} + " of " + owner + " is online (mask=" +
                   format_mask(set->value) + " online=" + format_mask(cpus_online) + ")");
        return true;
    };
    const auto empties = [&](AffinityRecipe& table, const std::string& owner) {
        const bool cpus = is_offline(table.cpus, "cpus", owner);
        const bool limit = is_offline(table.limit_cpus, "limit_cpus", owner);
        if (cpus || limit) {
            table = {};
        }
        return cpus || limit;
    };
    if (empties(recipe.defaults, "[defaults]")) {
        recipe.defaults_faulty = true;
    }
    const auto role_of = [&](const Service& service) -> std::string_view {
        const auto* const own = find_named(recipe.services, service.name);
        const std::optional<Reference>& role = own != nullptr && own->role ? own->role : service.role;
        return role ? std::string_view{role->name} : std::string_view{};
    };
    for (auto& role : recipe.roles) {
        const bool is_used = std::ranges::any_of(
            services, [&](const ServiceEntry& entry) { return role_of(entry.service) == role.name; });
        role.faulty = (is_used && empties(role.recipe, "role=" + role.name)) || role.faulty;
    }
    for (auto& table : recipe.services) {
        const bool is_listed = std::ranges::any_of(
            services, [&](const ServiceEntry& entry) { return entry.service.name == table.name; });
        table.faulty = (is_listed && empties(table.recipe, "svc=" + table.name)) || table.faulty;
    }
}

ResolvedHints resolve(const Service& service, const SchedRecipe<AffinityRecipe>& affinity,
                      const SchedRecipe<QosRecipe>& qos, std::optional<std::uint64_t> cpus_online,
                      std::vector<Diagnostic>& findings) {
    ResolvedHints resolved;
    const auto affinity_levels = levels_of(service, affinity);
    const auto qos_levels = levels_of(service, qos);
    const bool masks_fit = resolve_affinity(service, affinity_levels, cpus_online, resolved, findings);
    resolve_qos(service, qos_levels, resolved, findings);
    resolved.faulty = affinity_levels.faulty || qos_levels.faulty || !masks_fit;
    return resolved;
}

}  // namespace execd
