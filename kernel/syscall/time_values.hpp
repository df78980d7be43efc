// SPDX-License-Identifier: MIT
// Between Linux' time structs and ours.
#pragma once

#include <cstdint>
#include <limits>

#include "lib/result.hpp"
#include "lib/units.hpp"
#include "nexus_abi/linux.hpp"

namespace kernel::syscall {

inline constexpr std::int64_t kNsPerSecond = 1'000'000'000;
inline constexpr std::int64_t kNsPerMicrosecond = 1'000;

// Pre: duration >= 0.
[[nodiscard]] constexpr nexus_abi::timespec to_timespec(Duration duration) {
    const std::int64_t seconds = duration.ns() / kNsPerSecond;
    // Not %, of which a compiler makes another division.
    return {.seconds = seconds, .nanoseconds = duration.ns() - seconds * kNsPerSecond};
}
[[nodiscard]] constexpr nexus_abi::timeval to_timeval(Duration duration) {
    return {.seconds = duration.ns() / kNsPerSecond,
            .microseconds = duration.ns() % kNsPerSecond / kNsPerMicrosecond};
}

// InvalidArgument for negative times and nanoseconds outside 0..999999999. Times we cannot count (292 years
// and more) become the longest we can.
[[nodiscard]] constexpr Result<Duration> from_timespec(const nexus_abi::timespec& time) {
    if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= kNsPerSecond) {
        return Error::InvalidArgument;
    }
    constexpr std::int64_t kMaxSeconds = std::numeric_limits<std::int64_t>::max() / kNsPerSecond - 1;
    if (time.seconds > kMaxSeconds) {
        return Duration::max();
    }
    return Duration::nanoseconds(time.seconds * kNsPerSecond + time.nanoseconds);
}

}  // namespace kernel::syscall
