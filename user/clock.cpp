// SPDX-License-Identifier: MIT
#include "clock.hpp"

#include <cerrno>
#include <charconv>
#include <ctime>

namespace user {

Instant now() {
    return std::chrono::steady_clock::now();
}

void sleep_until(Instant instant) {
    const auto since_boot = instant.time_since_epoch();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
    timespec deadline{};
    deadline.tv_sec = static_cast<std::time_t>(seconds.count());
    deadline.tv_nsec = static_cast<long>((since_boot - seconds).count());
    while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, nullptr) == EINTR) {
    }
}

Duration thread_cpu_time() {
    timespec time{};
    if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) {
        return Duration::zero();
    }
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

std::string to_argument(Instant instant) {
    return std::to_string(instant.time_since_epoch().count());
}

std::optional<Instant> instant_from_argument(std::string_view text) {
    std::int64_t nanoseconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), nanoseconds);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return Instant{Duration{nanoseconds}};
}

}  // namespace user
