// SPDX-License-Identifier: MIT
// Where recipes lie: DIR/services.toml, DIR/sched/affinity.toml, DIR/sched/qos.toml.
#pragma once

#include <string>
#include <vector>

#include "diagnostics.hpp"
#include "plan.hpp"

namespace execd {

// A file that does not exist has no text; one that cannot be read is an error and counts as missing.
[[nodiscard]] RecipeSources load_recipes(const std::string& directory, std::vector<Diagnostic>& errors);

}  // namespace execd
