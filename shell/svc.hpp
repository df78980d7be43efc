// SPDX-License-Identifier: MIT
// What execd's answers say. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "system.hpp"

namespace shell {

// The fields of each line, which tabs separate.
[[nodiscard]] std::vector<std::vector<std::string>> split_answer(std::string_view text);

// Where the recipes say how the service with this pid is scheduled: KEY, VALUE and FILE:LINE. Empty: it is no
// service, or execd cannot be asked from here.
[[nodiscard]] std::vector<std::vector<std::string>> recipe_origins(System& system, std::int32_t pid);

}  // namespace shell
