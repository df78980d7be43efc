// SPDX-License-Identifier: MIT
// The measurements. Each returns its figures as `name=value` words, for figures.toml to judge; none judges
// itself.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace gauge {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kWarmUp = 50 * kMs;

inline double microseconds(std::uint64_t nanoseconds) {
    return static_cast<double>(nanoseconds) / 1000;
}

struct Gauge {
    std::string_view name;
    std::uint32_t harts;         // fewer online: it cannot be measured
    std::uint64_t milliseconds;  // length of its window, unless the command line names another
    std::string (*measure)(std::uint64_t window_ns);
};

std::string measure_shares(std::uint64_t window_ns);
std::string measure_wait(std::uint64_t window_ns);
std::string measure_spread(std::uint64_t window_ns);
std::string measure_wake(std::uint64_t window_ns);
std::string measure_idle(std::uint64_t window_ns);
std::string measure_tickless(std::uint64_t window_ns);
std::string measure_budget(std::uint64_t window_ns);
std::string measure_yield(std::uint64_t window_ns);
std::string measure_sections(std::uint64_t window_ns);
std::string measure_arrivals(std::uint64_t window_ns);
std::string measure_handover(std::uint64_t window_ns);

}  // namespace gauge
