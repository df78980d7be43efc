// SPDX-License-Identifier: MIT
// CLOCK_MONOTONIC as a strong type: one time line for all processes of a machine, so an instant may travel in
// argv. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace user {

using Duration = std::chrono::nanoseconds;
using Instant = std::chrono::time_point<std::chrono::steady_clock, Duration>;  // libstdc++: CLOCK_MONOTONIC

[[nodiscard]] Instant now();

// Returns at or after `instant`; at once if it has passed.
void sleep_until(Instant instant);

// CPU time of the calling thread, as the kernel charges it.
[[nodiscard]] Duration thread_cpu_time();

// Nanoseconds of CLOCK_MONOTONIC in decimal, and back.
[[nodiscard]] std::string to_argument(Instant instant);
[[nodiscard]] std::optional<Instant> instant_from_argument(std::string_view text);

}  // namespace user
