// SPDX-License-Identifier: MIT
#include "hints.hpp"

#include "notation.hpp"

namespace execd {

nexus_abi::sched_attr to_attr(const Hints& hints) {
    nexus_abi::sched_attr attr{};
    attr.size = sizeof(attr);
    attr.fields = nexus_abi::kFieldClass | nexus_abi::kFieldShares | nexus_abi::kFieldLatency |
                  nexus_abi::kFieldBurst | nexus_abi::kFieldPolicy;
    attr.qos_class = static_cast<std::uint32_t>(hints.qos_class);
    attr.shares = hints.shares;
    attr.latency_ns = static_cast<std::uint64_t>(hints.latency.count());
    attr.burst_ns = static_cast<std::uint64_t>(hints.burst.count());
    attr.affinity_policy = static_cast<std::uint32_t>(hints.policy);
    if (hints.cpus && hints.policy == nexus_abi::AffinityPolicy::Prefer) {
        attr.fields |= nexus_abi::kFieldPrefer;
        attr.affinity_prefer = *hints.cpus;
    } else if (hints.cpus) {
        attr.fields |= nexus_abi::kFieldAffinity;
        attr.affinity = *hints.cpus;
    }
    return attr;
}

std::string affinity_marker(std::string_view service, const nexus_abi::sched_attr& reported) {
    const bool prefers =
        reported.affinity_policy == static_cast<std::uint32_t>(nexus_abi::AffinityPolicy::Prefer) &&
        reported.affinity_prefer != 0;
    const std::uint64_t mask =
        prefers ? reported.effective_affinity & reported.affinity_prefer : reported.effective_affinity;
    return "execd: affinity set (svc=" + std::string{service} + " mask=" + format_mask(mask) +
           " policy=" + std::string{policy_name(reported.affinity_policy)} + ")";
}

std::string qos_marker(std::string_view service, const nexus_abi::sched_attr& reported) {
    const auto nanoseconds = [](std::uint64_t count) {
        return std::chrono::nanoseconds{static_cast<std::int64_t>(count)};
    };
    return "execd: qos set (svc=" + std::string{service} +
           " class=" + std::string{class_name(reported.effective_class)} +
           " shares=" + std::to_string(reported.effective_shares) +
           " lat=" + format_duration(nanoseconds(reported.latency_ns)) +
           " burst=" + format_duration(nanoseconds(reported.burst_ns)) + ")";
}

}  // namespace execd
