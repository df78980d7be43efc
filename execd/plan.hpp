// SPDX-License-Identifier: MIT
// From recipe files to what is to be started and how. Pure: files in, plan and messages out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "diagnostics.hpp"
#include "hints.hpp"
#include "recipes.hpp"

namespace execd {

struct RecipeSources {
    RecipeFile services;
    RecipeFile affinity;
    RecipeFile qos;
    // The board's own scheduling recipes, on top of those for all; a board may have none.
    std::string board{};  // its name, for messages; empty: unknown
    RecipeFile board_affinity{};
    RecipeFile board_qos{};
};

struct PlanOptions {
    // Mask of the CPUs that run; nullopt: unknown, masks are taken as they are.
    std::optional<std::uint64_t> cpus_online;
    // Names of the services to keep, separated by commas (neuron.services=); nullopt: all.
    std::optional<std::string> only;
};

struct PlannedService {
    Service service;  // an empty program: cannot be started
    Hints hints;
    HintOrigins origins;
    bool faulty{false};  // an error made it lose what its recipes say
};

struct Plan {
    std::vector<PlannedService>
        services;                    // in recipe order; `after` lists name services of this list, no circles
    std::vector<Diagnostic> errors;  // services.toml, affinity.toml, qos.toml; each in the order of the file
    std::vector<Diagnostic> warnings;        // likewise
    std::vector<std::string> notes;          // one line each: a file that is missing or ignored
    std::optional<std::string> reload_from;  // of services.toml
    bool is_without_services{false};         // services.toml is missing or ignored
};

[[nodiscard]] Plan make_plan(const RecipeSources& sources, const PlanOptions& options);

}  // namespace execd
