// SPDX-License-Identifier: MIT
// Group: tasks that together count for no more than a ceiling of shares, machine-wide: a process with its
// threads and children. While the shares of the runnable members exceed the ceiling each counts for its part
// of it, but for no less than one share. A group only ever lowers a weight; it is flat (no groups in groups)
// and costs O(1) where a weight is worked out: when a member becomes runnable and at the end of a request.
// Concurrency: atomic.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "sched/virtual_time.hpp"

namespace kernel::sched {

class Group {
  public:
    constexpr Group() = default;
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

    // In shares; 0 = no ceiling. Takes effect at each member's next request end at the latest.
    void set_ceiling(std::uint32_t shares) { ceiling_.store(shares, std::memory_order_relaxed); }
    [[nodiscard]] std::uint32_t ceiling() const { return ceiling_.load(std::memory_order_relaxed); }

    // A member with this weight becomes runnable, or is runnable no more.
    void count_in(std::uint32_t weight) { runnable_.fetch_add(weight, std::memory_order_relaxed); }
    void count_out(std::uint32_t weight) { runnable_.fetch_sub(weight, std::memory_order_relaxed); }
    // Sum of the runnable members' own weights.
    [[nodiscard]] std::uint64_t runnable_weight() const { return runnable_.load(std::memory_order_relaxed); }

    // What a member of this weight counts for now: kWeightPerShare..weight.
    [[nodiscard]] std::uint32_t effective(std::uint32_t weight) const {
        const std::uint64_t most = std::uint64_t{ceiling()} * kWeightPerShare;
        const std::uint64_t sum = runnable_weight();
        if (most == 0 || sum <= most) {
            return weight;
        }
        const auto lowered = static_cast<std::uint32_t>(weight * most / sum);
        return std::clamp(lowered, std::min(kWeightPerShare, weight), weight);
    }

  private:
    std::atomic<std::uint64_t> runnable_{0};
    std::atomic<std::uint32_t> ceiling_{0};
};

}  // namespace kernel::sched
