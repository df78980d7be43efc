// SPDX-License-Identifier: MIT
// affinity.toml and qos.toml: one shape ([defaults], [role.NAME] and [service.NAME]), two sets of keys
// (affinity_keys.cpp, qos_keys.cpp).
#include "key_reader.hpp"
#include "recipes.hpp"

namespace execd {
namespace {

// One table: its values, or an empty recipe and `faulty` set. `role`: where the table's role goes; nullptr:
// it has none to give.
template <class Recipe>
Recipe read_table(const Table& table, const std::string& name, ErrorSink& errors, bool& faulty,
                  std::optional<Reference>* role = nullptr) {
    const std::size_t errors_before = errors.count();
    KeyReader reader{table, name, errors};
    Recipe recipe;
    read_keys(reader, recipe);
    if (role != nullptr) {
        const auto* const wanted = reader.table().find_as<std::string>("role", "the name of a role");
        if (wanted != nullptr) {
            *role = Reference{.name = *wanted, .at = reader.table().find("role")->value.at};
        }
    }
    reader.table().reject_unknown_keys();
    faulty = errors.count() != errors_before;
    return faulty ? Recipe{} : recipe;
}

enum class Kind : std::uint8_t { Role, Service };

// Tables [KIND.NAME].
template <class Recipe>
void read_named_tables(TableReader& root, Kind kind, ErrorSink& errors,
                       std::vector<NamedRecipe<Recipe>>& named_tables) {
    const bool is_service = kind == Kind::Service;
    const std::string prefix = is_service ? "service" : "role";
    const auto* const tables = is_service ? root.find_as<Table>("service", "tables named [service.NAME]")
                                          : root.find_as<Table>("role", "tables named [role.NAME]");
    if (tables == nullptr) {
        return;
    }
    for (const Entry& entry : tables->entries) {
        NamedRecipe<Recipe> named{
            .name = entry.key, .at = entry.at, .recipe = {}, .role = {}, .faulty = true};
        const std::string name = prefix + '.' + entry.key;
        if (const auto* const table = root.as<Table>(entry.value, name, "a table")) {
            named.recipe =
                read_table<Recipe>(*table, name, errors, named.faulty, is_service ? &named.role : nullptr);
        }
        named_tables.push_back(std::move(named));
    }
}

template <class Recipe>
SchedRecipe<Recipe> read_sched_recipe(const RecipeFile& file, std::vector<Diagnostic>& errors) {
    ErrorSink sink{file.path, errors};
    SchedRecipe<Recipe> result;
    const auto root = open_recipe(file, sink, result.outcome);
    if (!root) {
        return result;
    }
    TableReader reader{*root, sink};
    reader.expect("schema");
    if (const auto* const defaults = reader.find_as<Table>("defaults", "a table")) {
        result.defaults = read_table<Recipe>(*defaults, "defaults", sink, result.defaults_faulty);
    }
    read_named_tables(reader, Kind::Role, sink, result.roles);
    read_named_tables(reader, Kind::Service, sink, result.services);
    reader.reject_unknown_keys();
    return result;
}

}  // namespace

SchedRecipe<AffinityRecipe> read_affinity(const RecipeFile& file, std::vector<Diagnostic>& errors) {
    return read_sched_recipe<AffinityRecipe>(file, errors);
}

SchedRecipe<QosRecipe> read_qos(const RecipeFile& file, std::vector<Diagnostic>& errors) {
    return read_sched_recipe<QosRecipe>(file, errors);
}

}  // namespace execd
