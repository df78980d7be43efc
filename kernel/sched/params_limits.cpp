// SPDX-License-Identifier: MIT
// sched_set_limits: ceilings on what a task and its children may ask for.
#include <algorithm>

#include "sched/params.hpp"

namespace kernel::sched {

namespace abi = nexus_abi;

namespace {

constexpr std::uint64_t kCeilings =
    abi::kFieldClass | abi::kFieldShares | abi::kFieldAffinity | abi::kFieldGroup;

bool lifts_a_ceiling(const LimitsChange& change, const Limits& limits) {
    const auto names = [&change](std::uint64_t field) { return (change.fields & field) != 0; };
    const bool lifts_group = limits.group_ceiling != 0 &&
                             (change.group_ceiling == 0 || change.group_ceiling > limits.group_ceiling);
    return (names(abi::kFieldClass) && change.class_ceiling > limits.class_ceiling) ||
           (names(abi::kFieldShares) && change.shares_ceiling > limits.shares_ceiling) ||
           (names(abi::kFieldAffinity) &&
            (change.affinity_limit & limits.affinity_limit) != change.affinity_limit) ||
           (names(abi::kFieldGroup) && lifts_group);
}

}  // namespace

Result<LimitsChange> parse_limits(const abi::sched_attr& attr) {
    TRY(check_attr_form(attr));
    const auto names = [&attr](std::uint64_t field) { return (attr.fields & field) != 0; };
    if (attr.fields == 0 || (attr.fields & ~kCeilings) != 0 || attr.flags != 0) {
        return Error::InvalidArgument;
    }
    LimitsChange change{.fields = attr.fields};
    if (names(abi::kFieldClass)) {
        change.class_ceiling = TRY(parse_class(std::int64_t{attr.qos_class})).qos_class;
    }
    if (names(abi::kFieldShares)) {
        if (attr.shares < abi::kSharesMin || attr.shares > abi::kSharesMax) {
            return Error::InvalidArgument;
        }
        change.shares_ceiling = attr.shares;
    }
    if (names(abi::kFieldAffinity)) {
        change.affinity_limit = CpuMask::from_bits(attr.affinity);
    }
    if (names(abi::kFieldGroup)) {
        if (attr.group > abi::kSharesMax) {
            return Error::InvalidArgument;
        }
        change.group_ceiling = attr.group;
    }
    return change;
}

Result<Limited> apply_limits(const Attributes& current, const LimitsChange& change,
                             const Authority& authority) {
    if (!authority.privileged) {
        return Error::NotPermitted;
    }
    const auto names = [&change](std::uint64_t field) { return (change.fields & field) != 0; };
    if (authority.ceilings_locked && lifts_a_ceiling(change, authority.limits)) {
        return Error::NotPermitted;
    }
    Limited next{.attributes = current, .limits = authority.limits};
    if (names(abi::kFieldAffinity)) {
        if ((change.affinity_limit & authority.online).empty()) {
            return Error::InvalidArgument;
        }
        next.limits.affinity_limit = change.affinity_limit;
        next.attributes = refit_affinity(current, change.affinity_limit, authority.online).attributes;
    }
    if (names(abi::kFieldClass)) {
        next.limits.class_ceiling = change.class_ceiling;
        next.attributes.qos_class = std::min(next.attributes.qos_class, change.class_ceiling);
    }
    if (names(abi::kFieldShares)) {
        next.limits.shares_ceiling = change.shares_ceiling;
        next.attributes.shares = std::min(next.attributes.shares, change.shares_ceiling);
    }
    if (names(abi::kFieldGroup)) {
        next.limits.group_ceiling = change.group_ceiling;
    }
    return next;
}

void fill_limits(const Authority& authority, abi::sched_attr& attr) {
    attr = abi::sched_attr{};
    attr.size = sizeof(abi::sched_attr);
    attr.fields = kCeilings;
    attr.qos_class = static_cast<std::uint32_t>(authority.limits.class_ceiling);
    attr.shares = authority.limits.shares_ceiling;
    attr.affinity = authority.limits.affinity_limit.bits();
    attr.group = authority.group_ceiling;
    attr.effective_affinity = (authority.limits.affinity_limit & authority.online).bits();
}

}  // namespace kernel::sched
