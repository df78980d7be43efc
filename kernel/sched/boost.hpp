// SPDX-License-Identifier: MIT
// BoostBucket: how long a task may run as PerfBurst. Running boosted drains it, everything else (running
// without boost, waiting without boost, sleeping) fills it at a tenth of the rate, so on average a task is
// boosted for at most 1/11 of the time, and never for longer than the capacity at once. An empty bucket ends
// the boost at that instant; it begins again only at a wake-up or the end of a request, and only when half of
// the capacity is there, so it does not flap.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/units.hpp"

namespace kernel::sched {

class BoostBucket {
  public:
    static constexpr Duration kDefaultCapacity = Duration::milliseconds(20);
    static constexpr Duration kCapacityMin = Duration::milliseconds(1);
    static constexpr Duration kCapacityMax = Duration::milliseconds(50);
    static constexpr std::int64_t kFillDivisor = 10;  // fills by 1 ns in this many

    // A task's burst hint is the capacity it asks for; 0 = the default.
    [[nodiscard]] static constexpr Duration capacity(Duration burst_hint) {
        return burst_hint.is_zero() ? kDefaultCapacity : std::clamp(burst_hint, kCapacityMin, kCapacityMax);
    }

    // The bucket of a new task is empty, and fills from its birth on.
    constexpr void start(Instant now) {
        level_ = 0;
        counted_to_ = now;
    }
    // Time up to now was spent without boost.
    constexpr void fill(Instant now, Duration capacity) {
        const std::int64_t full = capacity.ns() * kFillDivisor;
        const std::int64_t passed = std::max(std::int64_t{0}, (now - counted_to_).ns());
        level_ = passed < full - level_ ? level_ + passed : full;
        skip(now);
    }
    // Time up to now was spent boosted, but waiting.
    constexpr void skip(Instant now) { counted_to_ = std::max(counted_to_, now); }
    // Time up to now was run boosted. Pre: ran <= left().
    constexpr void drain(Duration ran, Instant now) {
        level_ = std::max(std::int64_t{0}, level_ - ran.ns() * kFillDivisor);
        skip(now);
    }
    [[nodiscard]] constexpr Duration left() const { return Duration::nanoseconds(level_ / kFillDivisor); }
    [[nodiscard]] constexpr bool may_start(Duration capacity) const { return left() >= capacity / 2; }

  private:
    std::int64_t level_{0};  // in tenths of a nanosecond of boost
    Instant counted_to_;
};

}  // namespace kernel::sched
