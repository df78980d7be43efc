// SPDX-License-Identifier: MIT
// The rules of every scheduler setter, as pure functions in two steps, because the ABI fixes the order of
// errors:
//   1. parse_*   form and range of the arguments (EINVAL)          before the target task is looked up
//   2. apply     against the target's limits and the online harts  after the caller's right to it is known
// apply() returns the complete new Attributes or an Error; on an error nothing has changed (all-or-nothing).
// A scalar that is negative or above 2^31-1 is EINVAL before any clamping, which catches sign errors. Shares
// and hints out of range are clamped by the scalar setters and by setattr with kAttrClamp, and are EINVAL in
// setattr without it. Classes, policies and masks are never clamped to something else. Source: docs/abi.md,
// NEURON block.
#pragma once

#include <cstdint>

#include "lib/result.hpp"
#include "nexus_abi/sched.hpp"
#include "sched/attributes.hpp"
#include "sched/entity.hpp"

namespace kernel::sched {

// A checked request to change some attributes. Only the values named in `fields` (nexus_abi::kField*) count.
struct Change {
    std::uint64_t fields{0};
    QosClass qos_class{};
    std::uint32_t shares{0};
    Duration latency{};
    Duration burst{};
    CpuMask affinity{};
    CpuMask affinity_prefer{};
    nexus_abi::AffinityPolicy policy{};
    std::uint32_t flags{0};
    BudgetParams budget{};
    std::uint32_t group_ceiling{0};  // 0 or the one the target has: only set_limits changes it
};

// A checked request to change the ceilings named in `fields`: kFieldClass, kFieldShares, kFieldAffinity,
// kFieldGroup.
struct LimitsChange {
    std::uint64_t fields{0};
    QosClass class_ceiling{};
    std::uint32_t shares_ceiling{0};
    CpuMask affinity_limit{};
    std::uint32_t group_ceiling{0};  // 0 = none
};

// Whose limits bind, and what the machine has. `privileged`: the caller holds SCHED_ADMIN; the ceilings of
// class and shares do not bind it, the affinity limit does.
struct Authority {
    Limits limits;
    CpuMask online;
    bool privileged{false};
    std::uint32_t group_ceiling{0};  // of the group the target counts for now, 0 = none
    bool ceilings_locked{false};     // ceilings bind everybody, and only come down
    bool perfburst_locked{false};    // nobody asks for PerfBurst anew
};

// Step 1. Values as they come out of the registers. Errors: InvalidArgument.
[[nodiscard]] Result<Change> parse_class(std::int64_t qos_class);  // 0..3
[[nodiscard]] Result<Change> parse_shares(std::int64_t shares);    // clamped to 1..1000
[[nodiscard]] Result<Change> parse_latency_ms(std::int64_t ms);    // 0 = none, clamped to 1000
[[nodiscard]] Result<Change> parse_burst_ms(std::int64_t ms);      // 0 = default, clamped to 50
[[nodiscard]] Change parse_affinity(std::uint64_t mask);           // any mask has a valid form
// policy pin: mask is the limit; prefer: mask is tried first, the limit stays; perf, eff: mask is the limit
// and the fast or the efficient harts of it are tried first. Errors: InvalidArgument for an unknown policy.
[[nodiscard]] Result<Change> parse_affinity_policy(std::uint64_t mask, std::uint64_t policy);
// runtime of CPU time in any period, in microseconds: 0, 0 = none, else 100 <= runtime <= period <= 10^6.
// Never clamped.
[[nodiscard]] Result<Change> parse_budget(std::int64_t runtime_us, std::int64_t period_us);
// Errors: InvalidArgument for a size below the struct's, an unknown flag or field, a reserved or effective_*
// value that is not 0, a named value out of range (group 0..1000). Values that `fields` does not name are
// ignored.
[[nodiscard]] Result<Change> parse_attr(const nexus_abi::sched_attr& attr);
// sched_set_limits: qos_class, shares, affinity and group are ceilings. Errors: InvalidArgument for a
// malformed struct, a field that is no ceiling, no field at all, a named value out of range (class 0..3,
// shares 1..1000, group 0..1000).
[[nodiscard]] Result<LimitsChange> parse_limits(const nexus_abi::sched_attr& attr);

// The form of an attr whatever its fields are: size, unknown flags and fields, reserved and effective_*
// values. Errors: InvalidArgument.
[[nodiscard]] Result<void> check_attr_form(const nexus_abi::sched_attr& attr);

// Step 2. Errors, in this order: InvalidArgument for a group that is neither 0 nor the target's, and when a
// mask leaves no usable hart; without the right
// NotPermitted for a class or shares above the target's ceiling, for a budget looser than an imposed one (or
// any where it is shared), and for taking InheritBudget from an imposed one.
[[nodiscard]] Result<Attributes> apply(const Attributes& current, const Change& change,
                                       const Authority& authority);

// Whether nothing that ran within `tighter` can exceed `looser`: ceil(P / P') * Q' <= Q. No budget at all is
// looser than every other.
[[nodiscard]] bool is_within(const BudgetParams& tighter, const BudgetParams& looser);

// Step 2 of sched_set_limits. Values above a new ceiling come down to it at once; an effective mask that is
// emptied becomes every usable hart (affinity_broken). Errors: NotPermitted without the right, and for what
// would lift a locked ceiling;
// InvalidArgument when the limit leaves no online hart.
struct Limited {
    Attributes attributes;
    Limits limits;
};
[[nodiscard]] Result<Limited> apply_limits(const Attributes& current, const LimitsChange& change,
                                           const Authority& authority);

// sched_get_limits. Post: every byte of attr is written.
void fill_limits(const Authority& authority, nexus_abi::sched_attr& attr);

// Recomputes the effective mask after harts came or went. When none is left the task may use every online
// hart of its limit (or, failing that, every online hart), and `broken` is set. Pre: online is not empty.
struct Refit {
    Attributes attributes;
    bool broken{false};
};
[[nodiscard]] Refit refit_affinity(const Attributes& current, CpuMask limit, CpuMask online);

// What a child starts with. spawn: class (PerfBurst becomes Interactive), shares, masks, flags; no hints; the
// budget only with kAttrInheritBudget, and then the parent's own, shared (Attributes::budget_shared).
// With kAttrResetOnSpawn: Normal, the default shares and the limit mask, but never above the parent's class
// and shares. The attributes of nexus_spawn are then applied on top with the parent's Authority.
[[nodiscard]] Attributes inherit_for_spawn(const Attributes& parent, const Limits& limits, CpuMask online);
// pthread_create, fork and execve: everything, hints included. The budget is shared with kAttrInheritBudget,
// and always when it is imposed, or else a new thread would not have it.
[[nodiscard]] Attributes inherit_for_thread(const Attributes& parent);
// A spawned child's ceilings: its class at birth, the parent's shares ceiling, affinity limit and group.
[[nodiscard]] Limits limits_for_spawn(const Limits& parent, const Attributes& child);

// sched_getattr: requested and effective values. Post: every byte of attr is written; size is the struct's.
void fill_attr(const Attributes& attributes, const Standing& standing, nexus_abi::sched_attr& attr);

}  // namespace kernel::sched
