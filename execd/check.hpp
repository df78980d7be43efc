// SPDX-License-Identifier: MIT
// execd --check: recipes judged on any machine, without starting anything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "plan.hpp"

namespace execd {

struct CheckReport {
    std::string messages;  // errors and notes, one a line
    std::string plan;      // the services as they would start, as a table, and a closing line
    bool has_errors{false};
};

// The plan as a table with a heading. cpus_online limits what it shows as CPUs, as the kernel would.
[[nodiscard]] std::string plan_table(const Plan& plan, std::optional<std::uint64_t> cpus_online);

// Reads the recipes of a directory. A directory without any recipe is an error here.
[[nodiscard]] CheckReport check_recipes(const std::string& directory,
                                        std::optional<std::uint64_t> cpus_online);

}  // namespace execd
