// SPDX-License-Identifier: MIT
#include "hints.hpp"

#include <algorithm>

#include "notation.hpp"

namespace execd {
namespace {

constexpr std::uint64_t kEveryCpu = ~std::uint64_t{0};

std::uint64_t count_of(std::chrono::nanoseconds duration) {
    return static_cast<std::uint64_t>(duration.count());
}

std::string duration_of(std::uint64_t nanoseconds) {
    return format_duration(std::chrono::nanoseconds{static_cast<std::int64_t>(nanoseconds)});
}

std::uint32_t flags_of(const Hints& hints) {
    return (hints.reset_on_spawn ? nexus_abi::kAttrResetOnSpawn : 0U) |
           (hints.inherit_budget ? nexus_abi::kAttrInheritBudget : 0U);
}

}  // namespace

std::uint64_t usable_cpus(const Hints& hints, std::optional<std::uint64_t> cpus_online) {
    return hints.cpus.value_or(kEveryCpu) & hints.limit_cpus.value_or(kEveryCpu) &
           cpus_online.value_or(kEveryCpu);
}

std::uint64_t shown_cpus(const Hints& hints, std::optional<std::uint64_t> cpus_online) {
    const bool prefers = hints.policy == nexus_abi::AffinityPolicy::Prefer && hints.prefer;
    return usable_cpus(hints, cpus_online) & (prefers ? *hints.prefer : kEveryCpu);
}

nexus_abi::QosClass class_in_effect(const Hints& hints) {
    return std::min(hints.qos_class, hints.max_class.value_or(hints.qos_class));
}

std::uint32_t shares_in_effect(const Hints& hints) {
    return std::min(hints.shares, hints.max_shares.value_or(hints.shares));
}

nexus_abi::sched_attr to_attr(const Hints& hints) {
    nexus_abi::sched_attr attr{};
    attr.size = sizeof(attr);
    attr.fields = nexus_abi::kFieldClass | nexus_abi::kFieldShares | nexus_abi::kFieldLatency |
                  nexus_abi::kFieldBurst | nexus_abi::kFieldPolicy;
    // Above a ceiling it would come down as soon as the ceiling is set: it begins there.
    attr.qos_class = static_cast<std::uint32_t>(class_in_effect(hints));
    attr.shares = shares_in_effect(hints);
    attr.latency_ns = count_of(hints.latency);
    attr.burst_ns = count_of(hints.burst);
    attr.affinity_policy = static_cast<std::uint32_t>(hints.policy);
    if (hints.cpus) {
        attr.fields |= nexus_abi::kFieldAffinity;
        attr.affinity = *hints.cpus;
    }
    if (hints.prefer) {
        attr.fields |= nexus_abi::kFieldPrefer;
        attr.affinity_prefer = *hints.prefer;
    }
    if (hints.budget != Budget{}) {
        attr.fields |= nexus_abi::kFieldBudget;
        attr.budget_ns = count_of(hints.budget.runtime);
        attr.period_ns = count_of(hints.budget.period);
    }
    if (const std::uint32_t flags = flags_of(hints); flags != 0) {
        attr.fields |= nexus_abi::kFieldFlags;
        attr.flags = flags;
    }
    return attr;
}

nexus_abi::sched_attr to_change(const Hints& hints) {
    nexus_abi::sched_attr attr = to_attr(hints);
    attr.fields |= nexus_abi::kFieldAffinity | nexus_abi::kFieldPrefer | nexus_abi::kFieldBudget |
                   nexus_abi::kFieldFlags;
    attr.affinity = hints.cpus.value_or(kEveryCpu);
    return attr;
}

bool has_limits(const Hints& hints) {
    return hints.max_class || hints.max_shares || hints.limit_cpus || hints.group_shares != 0;
}

nexus_abi::sched_attr to_limits(const Hints& hints) {
    nexus_abi::sched_attr limits{};
    limits.size = sizeof(limits);
    limits.fields =
        nexus_abi::kFieldClass | nexus_abi::kFieldShares | nexus_abi::kFieldAffinity | nexus_abi::kFieldGroup;
    limits.qos_class = static_cast<std::uint32_t>(hints.max_class.value_or(hints.qos_class));
    limits.shares = hints.max_shares.value_or(nexus_abi::kSharesMax);
    limits.affinity = hints.limit_cpus.value_or(kEveryCpu);
    limits.group = hints.group_shares;
    return limits;
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
    return "execd: qos set (svc=" + std::string{service} +
           " class=" + std::string{class_name(reported.effective_class)} +
           " shares=" + std::to_string(reported.effective_shares) +
           " lat=" + duration_of(reported.latency_ns) + " burst=" + duration_of(reported.burst_ns) + ")";
}

std::string budget_marker(std::string_view service, const nexus_abi::sched_attr& reported) {
    return "execd: budget set (svc=" + std::string{service} + " budget=" + duration_of(reported.budget_ns) +
           " period=" + duration_of(reported.period_ns) + ")";
}

std::string limits_marker(std::string_view service, const nexus_abi::sched_attr& limits) {
    return "execd: limits set (svc=" + std::string{service} +
           " class=" + std::string{class_name(limits.qos_class)} +
           " shares=" + std::to_string(limits.shares) + " mask=" + format_mask(limits.affinity) +
           " group=" + std::to_string(limits.group) + ")";
}

}  // namespace execd
