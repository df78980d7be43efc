// SPDX-License-Identifier: MIT
// The recipe files, each read on its own: text in, plain values and errors out. Pure.
//
// A file that is missing, no TOML, or of another schema version says nothing, and the outcome tells which. A
// table with an error is `faulty`: for scheduling recipes nothing of it is used; a service keeps the keys
// that are right.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "diagnostics.hpp"
#include "recipe_types.hpp"

namespace execd {

struct RecipeFile {
    std::string path;                 // as it appears in messages
    std::optional<std::string> text;  // nullopt: there is no such file
};

enum class FileOutcome : std::uint8_t { Read, Missing, Ignored };

// One service of services.toml. An empty program: an error left it without one.
struct ServiceEntry {
    Service service;
    bool faulty{false};
};

struct ServicesRecipe {
    FileOutcome outcome{FileOutcome::Read};
    std::vector<ServiceEntry> services;  // in the order of the file, names unique
    // Where the recipes of the next reload lie; nullopt: where these lie.
    std::optional<std::string> reload_from;
};

// One [service.NAME] or [role.NAME] table of affinity.toml or qos.toml; `recipe` is empty when faulty.
template <class Recipe>
struct NamedRecipe {
    std::string name;
    Position at;
    Recipe recipe;
    std::optional<Reference> role;  // of a service: whose keys fill the gaps, before [defaults]
    bool faulty{false};
};

template <class Recipe>
struct SchedRecipe {
    FileOutcome outcome{FileOutcome::Read};
    Recipe defaults;  // empty when faulty
    bool defaults_faulty{false};
    std::vector<NamedRecipe<Recipe>> roles;
    std::vector<NamedRecipe<Recipe>> services;
};

// Errors are appended in the order they are found.
[[nodiscard]] ServicesRecipe read_services(const RecipeFile& file, std::vector<Diagnostic>& errors);
[[nodiscard]] SchedRecipe<AffinityRecipe> read_affinity(const RecipeFile& file,
                                                        std::vector<Diagnostic>& errors);
[[nodiscard]] SchedRecipe<QosRecipe> read_qos(const RecipeFile& file, std::vector<Diagnostic>& errors);

// The root table of a file of our schema version. Missing, no TOML or another version: nullopt, `outcome`
// says which, and what is an error is reported.
[[nodiscard]] std::optional<Table> open_recipe(const RecipeFile& file, ErrorSink& errors,
                                               FileOutcome& outcome);

}  // namespace execd
