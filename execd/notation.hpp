// SPDX-License-Identifier: MIT
// How recipe values are written: durations, sets of CPUs, names of classes and policies; and back to text for
// markers and tables. Pure.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "nexus_abi/sched.hpp"
#include "nexus_abi/system.hpp"
#include "recipe_types.hpp"

namespace execd {

inline constexpr unsigned kMaxCpus = 64;  // bits of a mask in the ABI's scalar calls

inline constexpr std::array<std::pair<std::string_view, nexus_abi::QosClass>, 4> kClassNames{{
    {"idle", nexus_abi::QosClass::Idle},
    {"normal", nexus_abi::QosClass::Normal},
    {"interactive", nexus_abi::QosClass::Interactive},
    {"perfburst", nexus_abi::QosClass::PerfBurst},
}};
inline constexpr std::array<std::pair<std::string_view, nexus_abi::AffinityPolicy>, 4> kPolicyNames{{
    {"pin", nexus_abi::AffinityPolicy::Pin},
    {"prefer", nexus_abi::AffinityPolicy::Prefer},
    {"perf", nexus_abi::AffinityPolicy::Perf},
    {"eff", nexus_abi::AffinityPolicy::Eff},
}};
inline constexpr std::array<std::pair<std::string_view, RestartPolicy>, 3> kRestartNames{{
    {"no", RestartPolicy::No},
    {"on-failure", RestartPolicy::OnFailure},
    {"always", RestartPolicy::Always},
}};
inline constexpr std::array<std::pair<std::string_view, std::uint64_t>, 3> kRightNames{{
    {"sched_admin", nexus_abi::kRightSchedAdmin},
    {"sched_inspect", nexus_abi::kRightSchedInspect},
    {"power", nexus_abi::kRightPower},
}};

// "5ms", "500us", "1s", "0ms": digits and a unit, nothing else. nullopt: not a duration, or beyond 10^9
// units.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

// Whole milliseconds as "5ms", else "500us", else "1500ns". Never negative.
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);

// "0-2,4" -> 0x17, "all" -> every bit. nullopt: empty, not of this form, a CPU above 63, or a range that runs
// backwards.
[[nodiscard]] std::optional<std::uint64_t> parse_cpu_list(std::string_view text);

// "0x3" or "3" -> 3. nullopt: not a number of 64 bits.
[[nodiscard]] std::optional<std::uint64_t> parse_mask(std::string_view text);

// "0x17" -> "0-2,4"; "none" for 0.
[[nodiscard]] std::string format_cpu_list(std::uint64_t mask);

// "0x3"
[[nodiscard]] std::string format_mask(std::uint64_t mask);

// Whether `name` can be a board's: a device tree's compatible string, which also is the name of a directory.
[[nodiscard]] bool is_board_name(std::string_view name);

// The name of a value the kernel reported; "unknown" for one this program does not know.
[[nodiscard]] std::string_view class_name(std::uint32_t qos_class);
[[nodiscard]] std::string_view policy_name(std::uint32_t policy);
[[nodiscard]] std::string_view restart_name(RestartPolicy policy);

}  // namespace execd
