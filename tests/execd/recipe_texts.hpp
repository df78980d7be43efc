// SPDX-License-Identifier: MIT
// Recipes out of string literals, and errors as the text a person reads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan.hpp"

namespace execd_test {

inline execd::RecipeFile file(std::string path, std::optional<std::string> text) {
    return {.path = std::move(path), .text = std::move(text)};
}

// Three services, a, b and c, without any keys but the needed ones.
inline constexpr const char* kThreeServices =
    "schema = 1\n"
    "[[service]]\nname = \"a\"\nprogram = \"/bin/a\"\n"
    "[[service]]\nname = \"b\"\nprogram = \"/bin/b\"\n"
    "[[service]]\nname = \"c\"\nprogram = \"/bin/c\"\n";

inline constexpr const char* kEmptyRecipe = "schema = 1\n";

inline execd::RecipeSources sources(std::optional<std::string> services, std::optional<std::string> affinity,
                                    std::optional<std::string> qos) {
    return {.services = file("r/services.toml", std::move(services)),
            .affinity = file("r/sched/affinity.toml", std::move(affinity)),
            .qos = file("r/sched/qos.toml", std::move(qos))};
}

inline std::vector<std::string> texts(const std::vector<execd::Diagnostic>& errors) {
    std::vector<std::string> lines;
    for (const execd::Diagnostic& error : errors) {
        lines.push_back(execd::to_string(error));
    }
    return lines;
}

}  // namespace execd_test
