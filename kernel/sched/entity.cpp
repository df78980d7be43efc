// SPDX-License-Identifier: MIT
#include "sched/entity.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace kernel::sched {

namespace {

std::uint64_t to_abi(Duration duration) {
    return static_cast<std::uint64_t>(duration.ns());
}

}  // namespace

void Statistics::record_wake(Duration latency, Duration target) {
    const auto microseconds = static_cast<std::uint64_t>(latency.ns()) / 1000;
    // The two lowest need no count of bits, and most wake-ups are of these.
    const auto bucket =
        microseconds < 2 ? std::size_t{microseconds} : static_cast<std::size_t>(std::bit_width(microseconds));
    ++wake_latency[std::min(bucket, wake_latency.size() - 1)];
    wake_latency_max = std::max(wake_latency_max, latency);
    if (!target.is_zero()) {
        ++(latency <= target ? latency_target_met : latency_target_missed);
    }
}

Duration Entity::latency() const {
    const bool is_lent = is_donated_ && !donation_.latency.is_zero();
    if (!is_lent) {
        return attributes.latency;
    }
    return attributes.latency.is_zero() ? donation_.latency : std::min(attributes.latency, donation_.latency);
}

Standing Entity::standing() const {
    const bool counts = is_on_queue();
    return Standing{
        .effective = effective_,
        .shares = counts ? std::max(position_.weight / kWeightPerShare, std::uint32_t{1}) : attributes.shares,
        .group_ceiling = group_ == nullptr ? 0 : group_->ceiling(),
        .budget = budget_ == nullptr ? BudgetParams{} : budget_->params(),
    };
}

Duration Entity::runtime(Instant now) const {
    const bool is_counting = state_ == TaskState::Running && now > since_;
    return is_counting ? statistics_.runtime + (now - since_) : statistics_.runtime;
}

void Entity::fill_stat(Instant now, nexus_abi::sched_stat& stat) const {
    const Duration stretch = std::max(Duration{}, now - since_);
    const bool is_waiting = state_ == TaskState::Queued || state_ == TaskState::Migrating;
    const Duration waiting = is_waiting ? stretch : Duration{};
    const Duration throttled = state_ == TaskState::Throttled ? stretch : Duration{};
    const Duration sleeping = state_ == TaskState::Blocked ? stretch : Duration{};

    stat = nexus_abi::sched_stat{};
    stat.size = sizeof(nexus_abi::sched_stat);
    stat.state = static_cast<std::uint32_t>(state_);
    stat.runtime_ns = to_abi(runtime(now));
    stat.wait_ns = to_abi(statistics_.wait + waiting);
    stat.wait_max_ns = to_abi(std::max(statistics_.wait_max, waiting));
    stat.sleep_ns = to_abi(statistics_.sleep + sleeping);
    stat.nr_switch_voluntary = statistics_.switches_voluntary;
    stat.nr_switch_involuntary = statistics_.switches_involuntary;
    stat.nr_migrations = statistics_.migrations;
    stat.nr_preempted = statistics_.preempted;
    for (std::size_t i = 0; i < statistics_.wake_latency.size(); ++i) {
        stat.wake_latency_hist[i] = statistics_.wake_latency[i];
    }
    stat.wake_latency_max_ns = to_abi(statistics_.wake_latency_max);
    stat.nr_latency_target_met = statistics_.latency_target_met;
    stat.nr_latency_target_missed = statistics_.latency_target_missed;
    const bool is_boosted = effective_ == QosClass::PerfBurst;
    const bool is_boosting = is_boosted && state_ == TaskState::Running;
    stat.perfburst_ns = to_abi(statistics_.boosted + (is_boosting ? stretch : Duration{}));
    stat.throttled_ns = to_abi(statistics_.throttled + throttled);
    stat.nr_throttled = statistics_.throttles;
    stat.effective_class = static_cast<std::uint32_t>(effective_);
    stat.effective_shares = standing().shares;
    stat.flags = (attributes.affinity_broken ? nexus_abi::kStatAffinityBroken : 0U) |
                 (state_ == TaskState::Throttled ? nexus_abi::kStatThrottled : 0U) |
                 (is_boosted ? nexus_abi::kStatBoosted : 0U) | (is_donated_ ? nexus_abi::kStatDonated : 0U);
    stat.mask_effective = attributes.affinity_effective.bits();
    stat.mask_requested = attributes.affinity.bits();
    stat.last_cpu = cpu_.value();
    static_assert(nexus_abi::kMaxHartsInStat == kMaxCpus);
    for (std::uint32_t i = 0; i < cpus_kept_; ++i) {
        stat.runtime_by_cpu_ns[i] = to_abi(runtime_on(CpuId{i}));
    }
    if (state_ == TaskState::Running) {
        stat.runtime_by_cpu_ns[cpu_.value()] += to_abi(stretch);
    }
}

}  // namespace kernel::sched
