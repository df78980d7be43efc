// SPDX-License-Identifier: MIT
#include "sched/params.hpp"

#include <algorithm>
#include <limits>

#include "lib/check.hpp"

namespace kernel::sched {

namespace abi = nexus_abi;

namespace {

constexpr std::uint32_t kPersistentFlags = abi::kAttrResetOnSpawn | abi::kAttrInheritBudget;

bool is_scalar(std::int64_t value) {
    return value >= 0 && value <= std::numeric_limits<std::int32_t>::max();
}

Duration from_abi(std::uint64_t ns) {
    return Duration::nanoseconds(static_cast<std::int64_t>(ns));
}

// A hint of abi::sched_attr: 0, or within [low, high]; outside it is clamped or refused.
Result<Duration> parse_hint_ns(std::uint64_t ns, std::uint64_t low, std::uint64_t high, bool clamp) {
    if (ns > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
        return Error::InvalidArgument;  // a negative number in disguise
    }
    if (ns == 0 || (ns >= low && ns <= high)) {
        return from_abi(ns);
    }
    if (!clamp) {
        return Error::InvalidArgument;
    }
    return from_abi(std::clamp(ns, low, high));
}

Result<std::uint32_t> parse_attr_shares(std::uint32_t shares, bool clamp) {
    if (!is_scalar(std::int64_t{shares})) {
        return Error::InvalidArgument;
    }
    if (shares >= abi::kSharesMin && shares <= abi::kSharesMax) {
        return shares;
    }
    if (!clamp) {
        return Error::InvalidArgument;
    }
    return std::clamp(shares, abi::kSharesMin, abi::kSharesMax);
}

Result<abi::AffinityPolicy> parse_policy(std::uint64_t policy) {
    switch (policy) {
        case static_cast<std::uint64_t>(abi::AffinityPolicy::Pin):
            return abi::AffinityPolicy::Pin;
        case static_cast<std::uint64_t>(abi::AffinityPolicy::Prefer):
            return abi::AffinityPolicy::Prefer;
        case static_cast<std::uint64_t>(abi::AffinityPolicy::Perf):
            return abi::AffinityPolicy::Perf;
        case static_cast<std::uint64_t>(abi::AffinityPolicy::Eff):
            return abi::AffinityPolicy::Eff;
        default:
            return Error::InvalidArgument;
    }
}

Result<BudgetParams> parse_budget_ns(std::uint64_t runtime, std::uint64_t period) {
    if (runtime == 0 && period == 0) {
        return BudgetParams{};
    }
    if (runtime < abi::kBudgetMinNs || runtime > period || period > abi::kBudgetPeriodMaxNs) {
        return Error::InvalidArgument;
    }
    return BudgetParams{.runtime = from_abi(runtime), .period = from_abi(period)};
}

// Without the right: nothing looser than what was imposed, and no leaving of a budget that is shared.
Result<void> check_budget_change(const Attributes& current, const Change& change) {
    const bool drops_sharing = (change.fields & abi::kFieldFlags) != 0 &&
                               (current.flags & ~change.flags & abi::kAttrInheritBudget) != 0;
    if (current.budget_imposed && drops_sharing) {
        return Error::NotPermitted;
    }
    if ((change.fields & abi::kFieldBudget) == 0) {
        return {};
    }
    const bool is_looser = current.budget_imposed && !is_within(change.budget, current.budget);
    return current.budget_shared || is_looser ? Result<void>{Error::NotPermitted} : Result<void>{};
}

}  // namespace

Result<void> check_attr_form(const abi::sched_attr& attr) {
    const bool has_unknown = (attr.flags & ~abi::kAttrFlagsAll) != 0 || (attr.fields & ~abi::kFieldsAll) != 0;
    const bool has_read_only = attr.effective_class != 0 || attr.effective_shares != 0 ||
                               attr.effective_affinity != 0 || attr.reserved[0] != 0 || attr.reserved[1] != 0;
    if (attr.size < sizeof(abi::sched_attr) || has_unknown || has_read_only) {
        return Error::InvalidArgument;
    }
    return {};
}

Result<Change> parse_class(std::int64_t qos_class) {
    if (!is_scalar(qos_class) || qos_class >= std::int64_t{abi::kQosClassCount}) {
        return Error::InvalidArgument;
    }
    return Change{.fields = abi::kFieldClass, .qos_class = static_cast<QosClass>(qos_class)};
}

Result<Change> parse_shares(std::int64_t shares) {
    if (!is_scalar(shares)) {
        return Error::InvalidArgument;
    }
    return Change{.fields = abi::kFieldShares,
                  .shares = std::clamp(static_cast<std::uint32_t>(shares), abi::kSharesMin, abi::kSharesMax)};
}

Result<Change> parse_latency_ms(std::int64_t ms) {
    if (!is_scalar(ms)) {
        return Error::InvalidArgument;
    }
    return Change{.fields = abi::kFieldLatency,
                  .latency = Duration::milliseconds(std::min(ms, std::int64_t{abi::kLatencyHintMaxMs}))};
}

Result<Change> parse_burst_ms(std::int64_t ms) {
    if (!is_scalar(ms)) {
        return Error::InvalidArgument;
    }
    return Change{.fields = abi::kFieldBurst,
                  .burst = Duration::milliseconds(std::min(ms, std::int64_t{abi::kBurstHintMaxMs}))};
}

Change parse_affinity(std::uint64_t mask) {
    return Change{.fields = abi::kFieldAffinity, .affinity = CpuMask::from_bits(mask)};
}

Result<Change> parse_affinity_policy(std::uint64_t mask, std::uint64_t policy) {
    Change change{.fields = abi::kFieldPolicy, .policy = TRY(parse_policy(policy))};
    if (change.policy == abi::AffinityPolicy::Prefer) {
        change.fields |= abi::kFieldPrefer;
        change.affinity_prefer = CpuMask::from_bits(mask);
    } else {
        change.fields |= abi::kFieldAffinity;
        change.affinity = CpuMask::from_bits(mask);
    }
    return change;
}

Result<Change> parse_budget(std::int64_t runtime_us, std::int64_t period_us) {
    if (!is_scalar(runtime_us) || !is_scalar(period_us)) {
        return Error::InvalidArgument;
    }
    constexpr std::uint64_t kNsPerUs = 1000;
    return Change{.fields = abi::kFieldBudget,
                  .budget = TRY(parse_budget_ns(static_cast<std::uint64_t>(runtime_us) * kNsPerUs,
                                                static_cast<std::uint64_t>(period_us) * kNsPerUs))};
}

Result<Change> parse_attr(const abi::sched_attr& attr) {
    TRY(check_attr_form(attr));
    const bool clamp = (attr.flags & abi::kAttrClamp) != 0;
    const auto names = [&attr](std::uint64_t field) { return (attr.fields & field) != 0; };

    Change change{.fields = attr.fields};
    if (names(abi::kFieldClass)) {
        change.qos_class = TRY(parse_class(std::int64_t{attr.qos_class})).qos_class;
    }
    if (names(abi::kFieldShares)) {
        change.shares = TRY(parse_attr_shares(attr.shares, clamp));
    }
    if (names(abi::kFieldLatency)) {
        change.latency =
            TRY(parse_hint_ns(attr.latency_ns, abi::kLatencyHintMinNs, abi::kLatencyHintMaxNs, clamp));
    }
    if (names(abi::kFieldBurst)) {
        change.burst = TRY(parse_hint_ns(attr.burst_ns, abi::kBurstHintMinNs, abi::kBurstHintMaxNs, clamp));
    }
    if (names(abi::kFieldAffinity)) {
        change.affinity = CpuMask::from_bits(attr.affinity);
    }
    if (names(abi::kFieldPrefer)) {
        change.affinity_prefer = CpuMask::from_bits(attr.affinity_prefer);
    }
    if (names(abi::kFieldFlags)) {
        change.flags = attr.flags & kPersistentFlags;
    }
    if (names(abi::kFieldBudget)) {
        change.budget = TRY(parse_budget_ns(attr.budget_ns, attr.period_ns));
    }
    if (names(abi::kFieldPolicy)) {
        change.policy = TRY(parse_policy(attr.affinity_policy));
    }
    if (names(abi::kFieldGroup)) {
        change.group_ceiling = attr.group;
        if (attr.group > abi::kSharesMax) {
            return Error::InvalidArgument;
        }
    }
    return change;
}

Result<Attributes> apply(const Attributes& current, const Change& change, const Authority& authority) {
    const auto names = [&change](std::uint64_t field) { return (change.fields & field) != 0; };
    const CpuMask usable = authority.limits.affinity_limit & authority.online;
    Attributes next = current;
    if (names(abi::kFieldGroup) && change.group_ceiling != 0 &&
        change.group_ceiling != authority.group_ceiling) {
        return Error::InvalidArgument;
    }
    if (names(abi::kFieldAffinity)) {
        next.affinity = change.affinity;
        next.affinity_effective = change.affinity & usable;
        next.affinity_broken = false;
        if (next.affinity_effective.empty()) {
            return Error::InvalidArgument;
        }
    }
    if (names(abi::kFieldPolicy)) {
        next.policy = change.policy;
    }
    if (names(abi::kFieldPrefer)) {
        next.affinity_prefer = change.affinity_prefer;
        if (next.policy == abi::AffinityPolicy::Prefer && (change.affinity_prefer & usable).empty()) {
            return Error::InvalidArgument;
        }
    }
    const bool is_bound = !authority.privileged || authority.ceilings_locked;
    if (names(abi::kFieldClass)) {
        next.qos_class = change.qos_class;
        const bool is_new_burst =
            change.qos_class == QosClass::PerfBurst && current.qos_class != QosClass::PerfBurst;
        if ((is_bound && change.qos_class > authority.limits.class_ceiling) ||
            (is_new_burst && authority.perfburst_locked)) {
            return Error::NotPermitted;
        }
    }
    if (names(abi::kFieldShares)) {
        next.shares = change.shares;
        if (is_bound && change.shares > authority.limits.shares_ceiling) {
            return Error::NotPermitted;
        }
    }
    if (!authority.privileged) {
        TRY(check_budget_change(current, change));
    }
    if (names(abi::kFieldBudget)) {
        next.budget = change.budget;
        next.budget_imposed = change.budget.is_capped() && (authority.privileged || current.budget_imposed);
        next.budget_shared = false;
    }
    if (names(abi::kFieldLatency)) {
        next.latency = change.latency;
    }
    if (names(abi::kFieldBurst)) {
        next.burst = change.burst;
    }
    if (names(abi::kFieldFlags)) {
        next.flags = change.flags;
    }
    return next;
}

bool is_within(const BudgetParams& tighter, const BudgetParams& looser) {
    if (!looser.is_capped() || !tighter.is_capped()) {
        return !looser.is_capped();
    }
    const std::int64_t windows = (looser.period.ns() + tighter.period.ns() - 1) / tighter.period.ns();
    return tighter.runtime * windows <= looser.runtime;
}

Refit refit_affinity(const Attributes& current, CpuMask limit, CpuMask online) {
    DCHECK(!online.empty());
    Refit refit{.attributes = current};
    CpuMask& effective = refit.attributes.affinity_effective;
    effective = current.affinity & limit & online;
    if (effective.empty()) {
        refit.broken = true;
        const CpuMask within_limit = limit & online;
        effective = within_limit.empty() ? online : within_limit;
    }
    refit.attributes.affinity_broken = refit.broken;
    return refit;
}

namespace {

// What a child has of its parent's budget: all of it, together with the parent, or nothing.
void share_budget(Attributes& child, bool is_shared) {
    if (is_shared && child.budget.is_capped()) {
        child.budget_shared = true;
        return;
    }
    child.budget = {};
    child.budget_imposed = child.budget_shared = false;
}

}  // namespace

Attributes inherit_for_spawn(const Attributes& parent, const Limits& limits, CpuMask online) {
    Attributes child = parent;
    child.latency = Duration{};
    child.burst = Duration{};
    child.qos_class = std::min(parent.qos_class, QosClass::Interactive);
    share_budget(child, (parent.flags & abi::kAttrInheritBudget) != 0);
    if ((parent.flags & abi::kAttrResetOnSpawn) != 0) {
        child.qos_class = std::min(child.qos_class, QosClass::Normal);
        child.shares = std::min(child.shares, abi::kSharesDefault);
        child.affinity = limits.affinity_limit;
        child.affinity_prefer = CpuMask{};
        child.policy = abi::AffinityPolicy::Pin;
        child = refit_affinity(child, limits.affinity_limit, online).attributes;
    }
    return child;
}

Attributes inherit_for_thread(const Attributes& parent) {
    Attributes thread = parent;
    share_budget(thread, parent.budget_imposed || (parent.flags & abi::kAttrInheritBudget) != 0);
    return thread;
}

Limits limits_for_spawn(const Limits& parent, const Attributes& child) {
    return Limits{
        .class_ceiling = child.qos_class,
        .shares_ceiling = std::max(parent.shares_ceiling, child.shares),
        .affinity_limit = parent.affinity_limit,
        .group_ceiling = parent.group_ceiling,
    };
}

void fill_attr(const Attributes& attributes, const Standing& standing, abi::sched_attr& attr) {
    attr = abi::sched_attr{};
    attr.size = sizeof(abi::sched_attr);
    attr.flags = attributes.flags;
    attr.fields = abi::kFieldsAll;
    attr.qos_class = static_cast<std::uint32_t>(attributes.qos_class);
    attr.shares = attributes.shares;
    attr.latency_ns = static_cast<std::uint64_t>(attributes.latency.ns());
    attr.burst_ns = static_cast<std::uint64_t>(attributes.burst.ns());
    attr.budget_ns = static_cast<std::uint64_t>(standing.budget.runtime.ns());
    attr.period_ns = static_cast<std::uint64_t>(standing.budget.period.ns());
    attr.affinity = attributes.affinity.bits();
    attr.affinity_prefer = attributes.affinity_prefer.bits();
    attr.affinity_policy = static_cast<std::uint32_t>(attributes.policy);
    attr.group = standing.group_ceiling;
    attr.effective_class = static_cast<std::uint32_t>(standing.effective);
    attr.effective_shares = standing.shares;
    attr.effective_affinity = attributes.affinity_effective.bits();
}

}  // namespace kernel::sched
