// SPDX-License-Identifier: MIT
// Time as types: Duration and Instant, both signed 64-bit nanoseconds. Instants count from boot and never
// wrap (292 years). Arithmetic that overflows is a caller's bug except where *_saturating says otherwise.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace kernel {

class Duration {
  public:
    constexpr Duration() = default;
    [[nodiscard]] static constexpr Duration nanoseconds(std::int64_t n) { return Duration{n}; }
    [[nodiscard]] static constexpr Duration microseconds(std::int64_t n) { return Duration{n * 1'000}; }
    [[nodiscard]] static constexpr Duration milliseconds(std::int64_t n) { return Duration{n * 1'000'000}; }
    [[nodiscard]] static constexpr Duration seconds(std::int64_t n) { return Duration{n * 1'000'000'000}; }
    [[nodiscard]] static constexpr Duration max() {
        return Duration{std::numeric_limits<std::int64_t>::max()};
    }

    [[nodiscard]] constexpr std::int64_t ns() const { return ns_; }
    [[nodiscard]] constexpr bool is_zero() const { return ns_ == 0; }

    constexpr auto operator<=>(const Duration&) const = default;
    constexpr Duration& operator+=(Duration d) {
        ns_ += d.ns_;
        return *this;
    }
    constexpr Duration& operator-=(Duration d) {
        ns_ -= d.ns_;
        return *this;
    }
    friend constexpr Duration operator+(Duration a, Duration b) { return Duration{a.ns_ + b.ns_}; }
    friend constexpr Duration operator-(Duration a, Duration b) { return Duration{a.ns_ - b.ns_}; }
    friend constexpr Duration operator-(Duration a) { return Duration{-a.ns_}; }
    friend constexpr Duration operator*(Duration a, std::int64_t k) { return Duration{a.ns_ * k}; }
    friend constexpr Duration operator/(Duration a, std::int64_t k) { return Duration{a.ns_ / k}; }

  private:
    constexpr explicit Duration(std::int64_t ns) : ns_{ns} {}
    std::int64_t ns_{0};
};

class Instant {
  public:
    constexpr Instant() = default;
    [[nodiscard]] static constexpr Instant from_ns(std::int64_t ns) { return Instant{ns}; }
    // Later than every real instant: "no deadline".
    [[nodiscard]] static constexpr Instant never() {
        return Instant{std::numeric_limits<std::int64_t>::max()};
    }

    [[nodiscard]] constexpr std::int64_t ns() const { return ns_; }
    [[nodiscard]] constexpr bool is_never() const { return *this == never(); }
    // this + d, or never() when that would overflow. Pre: d >= 0.
    [[nodiscard]] constexpr Instant plus_saturating(Duration d) const {
        return ns_ > std::numeric_limits<std::int64_t>::max() - d.ns() ? never() : Instant{ns_ + d.ns()};
    }

    constexpr auto operator<=>(const Instant&) const = default;
    constexpr Instant& operator+=(Duration d) {
        ns_ += d.ns();
        return *this;
    }
    friend constexpr Instant operator+(Instant t, Duration d) { return Instant{t.ns_ + d.ns()}; }
    friend constexpr Instant operator-(Instant t, Duration d) { return Instant{t.ns_ - d.ns()}; }
    friend constexpr Duration operator-(Instant a, Instant b) { return Duration::nanoseconds(a.ns_ - b.ns_); }

  private:
    constexpr explicit Instant(std::int64_t ns) : ns_{ns} {}
    std::int64_t ns_{0};
};

inline constexpr Instant min(Instant a, Instant b) {
    return a < b ? a : b;
}

}  // namespace kernel
