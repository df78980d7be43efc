// SPDX-License-Identifier: MIT
#include <algorithm>

#include "notation.hpp"
#include "recipes.hpp"
#include "table_reader.hpp"

namespace execd {
namespace {

constexpr std::array<std::pair<std::string_view, ReadyWhen>, 2> kReadyNames{{
    {"started", ReadyWhen::Started},
    {"ended", ReadyWhen::Ended},
}};

// A name stands in marker lines and in neuron.services=a,b: no blanks, commas or quotes.
bool is_valid_name(std::string_view name) {
    constexpr std::size_t kMaxLength = 32;
    const auto is_allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-' || c == '.';
    };
    return !name.empty() && name.size() <= kMaxLength && std::ranges::all_of(name, is_allowed);
}

void read_program(TableReader& reader, Position table_at, ErrorSink& errors, Service& service) {
    const Entry* const entry = reader.find("program");
    if (entry == nullptr) {
        errors.add(table_at, "service '" + service.name + "' has no 'program'");
        return;
    }
    const auto* const path = reader.as<std::string>(entry->value, "program", "a string");
    if (path != nullptr && !path->starts_with('/')) {
        errors.add(entry->value.at, "'program' must be an absolute path, not '" + *path + "'");
    } else if (path != nullptr) {
        service.program = *path;
    }
}

void read_env(TableReader& reader, Service& service) {
    const auto* const env = reader.find_as<Table>("env", "a table of strings");
    if (env == nullptr) {
        return;
    }
    for (const Entry& entry : env->entries) {
        if (const auto* const text = reader.as<std::string>(entry.value, "env." + entry.key, "a string")) {
            service.env[entry.key] = *text;
        }
    }
}

void read_rights(TableReader& reader, Service& service) {
    for (const auto& [name, at] : reader.find_strings("rights")) {
        if (const auto right = reader.look_up(name, at, "right", kRightNames)) {
            service.rights |= *right;
        }
    }
}

// The name of a service, or nullptr after an error.
const std::string* read_name(TableReader& reader, Position table_at, ErrorSink& errors) {
    const Entry* const entry = reader.find("name");
    if (entry == nullptr) {
        errors.add(table_at, "a service without a 'name'");
        return nullptr;
    }
    const auto* const name = reader.as<std::string>(entry->value, "name", "a string");
    if (name != nullptr && !is_valid_name(*name)) {
        errors.add(entry->value.at,
                   "'" + *name + "' is no service name: 1 to 32 letters, digits, '_', '-' or '.'");
        return nullptr;
    }
    return name;
}

void read_service_keys(TableReader& reader, Position table_at, ErrorSink& errors, Service& service) {
    read_program(reader, table_at, errors, service);
    for (auto& [text, at] : reader.find_strings("args")) {
        service.args.push_back(std::move(text));
    }
    read_env(reader, service);
    service.restart = reader.find_name("restart", kRestartNames).value_or(RestartPolicy::No);
    service.ready = reader.find_name("ready", kReadyNames).value_or(ReadyWhen::Started);
    for (auto& [text, at] : reader.find_strings("after")) {
        service.after.push_back({.name = std::move(text), .at = at});
    }
    read_rights(reader, service);
    if (const auto* const control = reader.find_as<bool>("control", "true or false")) {
        service.has_control = *control;
    }
    if (const auto* const role = reader.find_as<std::string>("role", "the name of a role")) {
        service.role = Reference{.name = *role, .at = reader.find("role")->value.at};
    }
    reader.reject_unknown_keys();
}

void read_reload_from(TableReader& reader, ErrorSink& errors, ServicesRecipe& recipe) {
    const auto* const directory = reader.find_as<std::string>("reload_from", "a string");
    if (directory == nullptr) {
        return;
    }
    if (!directory->starts_with('/')) {
        errors.add(reader.find("reload_from")->value.at,
                   "'reload_from' must be an absolute path, not '" + *directory + "'");
        return;
    }
    recipe.reload_from = *directory;
}

void read_service(const Value& value, ErrorSink& errors, std::vector<ServiceEntry>& services) {
    const auto* const table = std::get_if<Table>(&value.data);
    if (table == nullptr) {
        errors.add(value.at, "'service' must be written as [[service]] tables");
        return;
    }
    const std::size_t errors_before = errors.count();
    TableReader reader{*table, errors};
    const std::string* const name = read_name(reader, value.at, errors);
    if (name == nullptr) {
        return;
    }
    const auto same_name = [&](const ServiceEntry& entry) { return entry.service.name == *name; };
    const Position name_at = reader.find("name")->value.at;
    if (const auto first = std::ranges::find_if(services, same_name); first != services.end()) {
        errors.add(name_at, "duplicate service '" + *name + "' (the first is at line " +
                                std::to_string(first->service.at.line) + ")");
        return;
    }
    Service service;
    service.name = *name;
    service.at = name_at;
    read_service_keys(reader, value.at, errors, service);
    services.push_back({.service = std::move(service), .faulty = errors.count() != errors_before});
}

}  // namespace

ServicesRecipe read_services(const RecipeFile& file, std::vector<Diagnostic>& errors) {
    ErrorSink sink{file.path, errors};
    ServicesRecipe recipe;
    const auto root = open_recipe(file, sink, recipe.outcome);
    if (!root) {
        return recipe;
    }
    TableReader reader{*root, sink};
    reader.expect("schema");
    read_reload_from(reader, sink, recipe);
    if (const auto* const list = reader.find_as<Array>("service", "an array of tables ([[service]])")) {
        for (const Value& value : list->items) {
            read_service(value, sink, recipe.services);
        }
    }
    reader.reject_unknown_keys();
    return recipe;
}

}  // namespace execd
