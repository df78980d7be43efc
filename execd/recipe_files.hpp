// SPDX-License-Identifier: MIT
// Where recipes lie: DIR/services.toml, DIR/sched/affinity.toml, DIR/sched/qos.toml, and what one board
// changes: DIR/boards/NAME/affinity.toml, DIR/boards/NAME/qos.toml.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diagnostics.hpp"
#include "plan.hpp"

namespace execd {

// Which board this is.
struct BoardNames {
    std::vector<std::string> names{};  // the most specific first; the first that has recipes counts
    bool is_given{false};              // by a person: one without recipes is an error
};

// A file that does not exist has no text; one that cannot be read is an error and counts as missing.
[[nodiscard]] RecipeSources load_recipes(const std::string& directory, const BoardNames& board,
                                         std::vector<Diagnostic>& errors);

// The names in a device tree's `compatible`: each ends with a NUL. Those that are no names of a board
// (letters, digits, ',', '.', '_', '+', '-') are left out.
[[nodiscard]] std::vector<std::string> split_compatible(std::string_view property);

// The board's names as the kernel tells them; empty: it does not.
[[nodiscard]] std::vector<std::string> read_compatible();

}  // namespace execd
