// SPDX-License-Identifier: MIT
// Values as systemd writes them (systemd.exec(5), systemd.resource-control(5)), for the keys of systemd whose
// meaning NEURON can keep; docs/recipes.md has the list. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "recipe_types.hpp"

namespace execd::systemd {

inline constexpr std::int64_t kNiceMin = -20;
inline constexpr std::int64_t kNiceMax = 19;
inline constexpr std::int64_t kWeightMax = 10'000;  // CPUWeight; 1 is the least
inline constexpr std::chrono::nanoseconds kDefaultQuotaPeriod = std::chrono::milliseconds{100};

// Linux' weight of a nice level, scaled so that nice 0 is 100 shares, rounded. nullopt: above 1000 shares,
// where the ratio of two levels would be lost (below nice -10). Pre: kNiceMin <= nice <= kNiceMax.
[[nodiscard]] std::optional<std::uint32_t> shares_of_nice(std::int64_t nice);

// "20%" -> 20. nullopt: no whole number of percent, 0, or more than 10^6.
[[nodiscard]] std::optional<std::int64_t> parse_percent(std::string_view text);

// "0-3 5" or "0-3,5" -> a mask. nullopt: no list of CPUs from 0 to 63.
[[nodiscard]] std::optional<std::uint64_t> parse_cpus(std::string_view text);

}  // namespace execd::systemd
