// SPDX-License-Identifier: MIT
// When something happens next on each of a few sources: a tournament tree. Changing one source costs
// O(log sources), looking at the earliest O(1). Ties go to the lower source.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "lib/units.hpp"

namespace sched_sim {

using kernel::Instant;

class NextEvents {
  public:
    explicit NextEvents(std::uint32_t sources)
        : leaves_{std::bit_ceil(sources)},
          times_(leaves_, Instant::never()),
          winners_(std::size_t{2} * leaves_) {
        for (std::uint32_t i = 0; i < leaves_; ++i) {
            winners_[leaves_ + i] = i;
        }
        for (std::uint32_t node = leaves_; node-- > 1;) {
            winners_[node] = winners_[std::size_t{2} * node];
        }
    }

    void set(std::uint32_t source, Instant at) {
        if (times_[source] == at) {
            return;
        }
        times_[source] = at;
        for (std::uint32_t node = (leaves_ + source) / 2; node != 0; node /= 2) {
            const std::uint32_t left = winners_[std::size_t{2} * node];
            const std::uint32_t right = winners_[std::size_t{2} * node + 1];
            winners_[node] = times_[right] < times_[left] ? right : left;
        }
    }

    [[nodiscard]] std::uint32_t first() const { return winners_[1]; }
    [[nodiscard]] Instant first_time() const { return times_[winners_[1]]; }
    [[nodiscard]] Instant time_of(std::uint32_t source) const { return times_[source]; }
    [[nodiscard]] std::uint32_t sources() const { return leaves_; }

  private:
    std::uint32_t leaves_;
    std::vector<Instant> times_;
    std::vector<std::uint32_t> winners_;  // of the subtree below each node; the root is 1
};

}  // namespace sched_sim
