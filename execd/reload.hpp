// SPDX-License-Identifier: MIT
// SIGHUP: recipes are read again, and what they change is changed, all of it or nothing.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "plan.hpp"
#include "supervisor.hpp"

namespace execd {

// Where the recipes in force came from, and where the next ones come from; nullopt: the same directory.
struct RecipeLocation {
    std::string directory;
    std::optional<std::string> reload_from;
};

// The plan of a directory; errors of reading its files are among the plan's.
using PlanLoader = std::function<Plan(const std::string& directory)>;

// Prints each error with its place. With any error, or when the kernel refuses a hint, nothing changes, and a
// line says so; the next reload reads the same directory as this one.
void reload_recipes(RecipeLocation& location, const PlanLoader& load, Supervisor& supervisor,
                    const LineSink& log);

}  // namespace execd
