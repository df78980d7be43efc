// SPDX-License-Identifier: MIT
// The scheduling hints a service starts with, resolved from recipes and defaults, and their way into and out
// of the ABI's sched_attr.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "nexus_abi/sched.hpp"

namespace execd {

// The initial values are the built-in defaults.
struct Hints {
    std::optional<std::uint64_t> cpus;  // nullopt: every CPU; bits of absent CPUs are kept, the kernel clamps
    nexus_abi::AffinityPolicy policy{nexus_abi::AffinityPolicy::Pin};
    nexus_abi::QosClass qos_class{nexus_abi::QosClass::Normal};
    std::uint32_t shares{nexus_abi::kSharesDefault};
    std::chrono::nanoseconds latency{0};  // 0 = none
    std::chrono::nanoseconds burst{0};    // 0 = the class's default
};

// What nexus_spawn applies before the first instruction. pin: the CPUs are the limit; prefer: they are tried
// first.
[[nodiscard]] nexus_abi::sched_attr to_attr(const Hints& hints);

// The marker lines, from the values the kernel reports for a task:
//   execd: affinity set (svc=audio mask=0x3 policy=pin)
//   execd: qos set (svc=audio class=interactive shares=300 lat=5ms burst=0ms)
// mask is the effective limit, with prefer the part of it that is tried first.
[[nodiscard]] std::string affinity_marker(std::string_view service, const nexus_abi::sched_attr& reported);
[[nodiscard]] std::string qos_marker(std::string_view service, const nexus_abi::sched_attr& reported);

}  // namespace execd
