// SPDX-License-Identifier: MIT
// The scheduling hints a service runs under, resolved from recipes and defaults, and their way into and out
// of the ABI's sched_attr.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "nexus_abi/sched.hpp"
#include "recipe_types.hpp"

namespace execd {

// The initial values are the built-in defaults.
// Masks may hold bits of absent CPUs: the kernel clamps.
struct Hints {
    std::optional<std::uint64_t> cpus;    // never outside; nullopt: every CPU
    std::optional<std::uint64_t> prefer;  // with policy Prefer: tried first
    nexus_abi::AffinityPolicy policy{nexus_abi::AffinityPolicy::Pin};
    nexus_abi::QosClass qos_class{nexus_abi::QosClass::Normal};
    std::uint32_t shares{nexus_abi::kSharesDefault};
    std::chrono::nanoseconds latency{0};  // 0 = none
    std::chrono::nanoseconds burst{0};    // 0 = the class's default
    Budget budget;
    bool inherit_budget{false};  // children and threads draw on the same budget
    bool reset_on_spawn{false};  // children start with defaults
    // Ceilings of what the service may ask for itself and its children.
    std::optional<nexus_abi::QosClass> max_class;  // nullopt: its class
    std::optional<std::uint32_t> max_shares;       // nullopt: 1000
    std::optional<std::uint64_t> limit_cpus;       // nullopt: every CPU
    std::uint32_t group_shares{0};                 // of all its runnable tasks together; 0: none

    friend bool operator==(const Hints&, const Hints&) = default;
};

// Where each value of Hints comes from.
struct HintOrigins {
    Origin cpus, prefer, policy, qos_class, shares, latency, burst, budget, inherit_budget, reset_on_spawn,
        max_class, max_shares, limit_cpus, group_shares;
};

// The CPUs the service may use, and those it uses first, of those online; nullopt: unknown which are.
// usable_cpus: cpus and limit_cpus; shown_cpus: what its affinity marker will show.
[[nodiscard]] std::uint64_t usable_cpus(const Hints& hints, std::optional<std::uint64_t> cpus_online);
[[nodiscard]] std::uint64_t shown_cpus(const Hints& hints, std::optional<std::uint64_t> cpus_online);

// Class and shares under the service's own ceilings.
[[nodiscard]] nexus_abi::QosClass class_in_effect(const Hints& hints);
[[nodiscard]] std::uint32_t shares_in_effect(const Hints& hints);

// What nexus_spawn applies before the first instruction: what is left out is as execd has it, which is the
// default.
[[nodiscard]] nexus_abi::sched_attr to_attr(const Hints& hints);
// The same for a service that runs: names every field, so that what is gone from the recipe is undone.
[[nodiscard]] nexus_abi::sched_attr to_change(const Hints& hints);

// Whether the hints need sched_set_limits, and what it is given.
[[nodiscard]] bool has_limits(const Hints& hints);
[[nodiscard]] nexus_abi::sched_attr to_limits(const Hints& hints);

// The marker lines, from the values the kernel reports for a task:
//   execd: affinity set (svc=audio mask=0x3 policy=pin)
//   execd: qos set (svc=audio class=interactive shares=300 lat=5ms burst=0ms)
//   execd: budget set (svc=audio budget=20ms period=100ms)
// mask is the effective limit, with prefer the part of it that is tried first.
[[nodiscard]] std::string affinity_marker(std::string_view service, const nexus_abi::sched_attr& reported);
[[nodiscard]] std::string qos_marker(std::string_view service, const nexus_abi::sched_attr& reported);
[[nodiscard]] std::string budget_marker(std::string_view service, const nexus_abi::sched_attr& reported);
// From what sched_set_limits was given and accepted; no call reads limits back.
//   execd: limits set (svc=audio class=interactive shares=500 mask=0x3 group=0)
[[nodiscard]] std::string limits_marker(std::string_view service, const nexus_abi::sched_attr& limits);

}  // namespace execd
