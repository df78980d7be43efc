// SPDX-License-Identifier: MIT
// execd --check: recipes judged on any machine, without starting anything, and the plan they make explained.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "plan.hpp"

namespace execd {

struct CheckOptions {
    std::optional<std::uint64_t> cpus_online{};  // limits what is shown as CPUs, as the kernel would
    std::optional<std::string> board{};
    bool json{false};
};

struct CheckReport {
    std::string messages;  // errors, warnings and notes, one a line; with json part of `plan`
    std::string plan;      // what would start and how, and where each value comes from
    bool has_errors{false};
};

// Reads the recipes of a directory. A directory without any recipe is an error here.
[[nodiscard]] CheckReport check_recipes(const std::string& directory, const CheckOptions& options);

}  // namespace execd
