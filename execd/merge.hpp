// SPDX-License-Identifier: MIT
// From tables to the hints of each service: board files over the files for all boards, then key by key the
// service's own table before its role's before [defaults] before what is built in. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "diagnostics.hpp"
#include "hints.hpp"
#include "recipes.hpp"

namespace execd {

// Puts a board's tables on top: a key of it replaces the same key of the table of the same name. A faulty
// table of either makes the joint one faulty, and so empty.
void overlay(SchedRecipe<AffinityRecipe>& base, const SchedRecipe<AffinityRecipe>& board);
void overlay(SchedRecipe<QosRecipe>& base, const SchedRecipe<QosRecipe>& board);

// Reports and drops a role of services.toml that neither file defines; its service is marked faulty.
void check_service_roles(const SchedRecipe<AffinityRecipe>& affinity, const SchedRecipe<QosRecipe>& qos,
                         std::vector<ServiceEntry>& services, ErrorSink& errors);

// Reports each table whose `role` its file does not define, and makes it faulty.
void check_table_roles(SchedRecipe<AffinityRecipe>& recipe, ErrorSink& errors);
void check_table_roles(SchedRecipe<QosRecipe>& recipe, ErrorSink& errors);

// Reports each table that leaves its service no CPU that runs, and makes it faulty. Tables of services that
// are not listed, and roles nobody has, are let be.
void reject_offline_masks(std::uint64_t cpus_online, const std::vector<ServiceEntry>& services,
                          SchedRecipe<AffinityRecipe>& recipe, std::vector<Diagnostic>& errors);

// A service's hints, each with its origin. A combination of values from several tables that cannot be is
// reported, and its values are built-in ones; one that is odd gets a warning.
struct ResolvedHints {
    Hints hints;
    HintOrigins origins;
    bool faulty{false};  // an error, here or in one of its tables, made it lose what its recipes say
};
[[nodiscard]] ResolvedHints resolve(const Service& service, const SchedRecipe<AffinityRecipe>& affinity,
                                    const SchedRecipe<QosRecipe>& qos,
                                    std::optional<std::uint64_t> cpus_online,
                                    std::vector<Diagnostic>& findings);

}  // namespace execd
