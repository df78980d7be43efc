// SPDX-License-Identifier: MIT
// What the parts of the reference model share: rounding, requests and the boost bucket.
#pragma once

#include <algorithm>

#include "reference.hpp"

namespace sched_test::reference {

using kernel::sched::index_of;
using kernel::sched::kClassTable;

inline constexpr Wide kUnitsPerNs = Wide{1} << 14;  // of weight 1
// A hart that stood still is charged in pieces of at most this, and each may end a request.
inline constexpr std::int64_t kPiece = std::int64_t{1} << 39;

// Rounds towards minus infinity.
inline Wide floor_of(Wide dividend, Wide divisor) {
    const Wide quotient = dividend / divisor;
    return dividend % divisor < 0 ? quotient - 1 : quotient;
}
inline Wide ceiling_of(Wide dividend, Wide divisor) {
    return -floor_of(-dividend, divisor);
}
// How far `service` moves something of this weight.
inline Wide span(Duration service, Wide weight) {
    return Wide{service.ns()} * kUnitsPerNs / weight;
}
inline Wide rescaled(Wide distance, std::uint32_t from, std::uint32_t to) {
    return floor_of(distance * from, to);
}
// What is left of a request stays more than nothing.
inline Wide rest_rescaled(Wide rest, std::uint32_t from, std::uint32_t to) {
    const Wide exact = rescaled(rest, from, to);
    return rest > 0 ? std::max(exact, Wide{1}) : exact;
}
inline Duration request_of(const Task& task) {
    if (task.attributes.burst.is_zero()) {
        return kClassTable[index_of(task.effective)].task_request;
    }
    return std::clamp(task.attributes.burst, Duration::microseconds(100), Duration::milliseconds(20));
}
inline constexpr Duration kSleepHorizon = Duration::seconds(3600);
inline constexpr Duration kLagMax = Duration::milliseconds(32);
inline constexpr Duration kAccountMax = Duration::milliseconds(512);
inline constexpr Duration kMinGranularity = Duration::microseconds(500);

// The bucket: full at `capacity` of boost, ten tenths of a nanosecond each.
inline Duration capacity_of(const Task& task) {
    const Duration hint = task.attributes.burst;
    return hint.is_zero() ? Duration::milliseconds(20)
                          : std::clamp(hint, Duration::milliseconds(1), Duration::milliseconds(50));
}
inline Duration boost_left(const Task& task) {
    return Duration::nanoseconds(task.tokens / 10);
}
// Time up to now: fills the bucket unless the task was boosted and awake.
inline void count_boost(Task& task, Instant now) {
    const bool is_boosted = task.effective == QosClass::PerfBurst && task.state != TaskState::Blocked;
    if (!is_boosted) {
        const std::int64_t passed = std::max(std::int64_t{0}, (now - task.tokens_at).ns());
        task.tokens = static_cast<std::int64_t>(
            std::min(Wide{task.tokens} + passed, Wide{capacity_of(task).ns()} * 10));
    }
    task.tokens_at = std::max(task.tokens_at, now);
}
inline void consider_boost(Task& task) {
    const bool has_half = boost_left(task) >= capacity_of(task) / 2;
    task.is_boosted = task.wants_boost() && (task.is_boosted || has_half);
}
inline void settle_class(Task& task, Instant now) {
    count_boost(task, now);
    consider_boost(task);
    task.effective = task.class_now();
}
inline void begin_life(Task& task, Instant now) {
    task.since = task.tokens_at = now;
    task.tokens = 0;
    task.is_boosted = false;
    settle_class(task, now);
}

}  // namespace sched_test::reference
