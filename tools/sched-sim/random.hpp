// SPDX-License-Identifier: MIT
// Seeded random numbers that are the same on every machine, and the distributions of run and sleep times.
#pragma once

#include <cstdint>

#include "lib/units.hpp"

namespace sched_sim {

using kernel::Duration;

// xoshiro256** (Blackman and Vigna, 2018), seeded by splitmix64.
class Random {
  public:
    explicit Random(std::uint64_t seed);
    [[nodiscard]] std::uint64_t next();
    // Uniform in [0, bound). Pre: bound > 0.
    [[nodiscard]] std::uint64_t below(std::uint64_t bound);
    // Uniform in [0, 1).
    [[nodiscard]] double fraction();
    // Uniform in [low, high]. Pre: low <= high.
    [[nodiscard]] std::int64_t between(std::int64_t low, std::int64_t high);
    // A generator of its own for one part of a simulation, so that parts do not disturb each other.
    [[nodiscard]] Random fork();

  private:
    std::uint64_t state_[4];
};

// A distribution of durations. `mean` is the mean of all but HeavyTail, whose median it is.
struct Distribution {
    enum class Kind : std::uint8_t {
        Constant,
        Uniform,      // 0 .. 2 mean
        Exponential,  // cut at 20 means
        Bimodal,      // `long_part` of the draws are ten times the others
        HeavyTail,    // Pareto with shape 1.5, cut at 1000 times the least value
    };
    Kind kind{Kind::Constant};
    Duration mean{};
    double long_part{0.1};

    // At least 1 ns when mean is.
    [[nodiscard]] Duration draw(Random& random) const;
    [[nodiscard]] static Distribution constant(Duration d) { return {.kind = Kind::Constant, .mean = d}; }
    [[nodiscard]] static Distribution exponential(Duration mean) {
        return {.kind = Kind::Exponential, .mean = mean};
    }
};

}  // namespace sched_sim
