// SPDX-License-Identifier: MIT
// When a service that ended starts again. Pure: time comes in as an argument.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "recipe_types.hpp"

namespace execd {

using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::nanoseconds;

// A service that dies at once costs ten starts in the first half minute and one in five seconds later on.
inline constexpr Duration kFirstBackoff = std::chrono::milliseconds{100};
inline constexpr Duration kLongestBackoff = std::chrono::seconds{5};
// Having run this long, a service counts as healthy: its next end is a first one.
inline constexpr Duration kHealthyTime = std::chrono::seconds{10};

// Exponential: 100 ms, 200 ms, ... 5 s.
class Backoff {
  public:
    // The pause before the next start, for a run of this length that has just ended.
    [[nodiscard]] Duration next(Duration run_time);

  private:
    Duration pause_{0};
};

// How a child ended, from its wait status (Linux' encoding: exit status in bits 8..15, signal in bits 0..6).
class ExitReason {
  public:
    explicit ExitReason(std::int32_t wait_status) : wait_status_{static_cast<std::uint32_t>(wait_status)} {}

    [[nodiscard]] bool is_success() const { return (wait_status_ & 0xffffU) == 0; }
    [[nodiscard]] bool was_killed() const { return (wait_status_ & 0x7fU) != 0; }
    // By the machine's word, not somebody's: an illegal instruction, a bad address and their like.
    [[nodiscard]] bool was_killed_by_fault() const;
    // "exited (status 3)" or "killed by signal 11"
    [[nodiscard]] std::string describe() const;

  private:
    std::uint32_t wait_status_;
};

[[nodiscard]] bool wants_restart(RestartPolicy policy, bool is_success);

}  // namespace execd
