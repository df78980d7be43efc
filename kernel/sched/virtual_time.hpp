// SPDX-License-Identifier: MIT
// Virtual time: service divided by weight, in fixed point. A weight of 1 advances by 2^14 per nanosecond of
// service; a task's weight is shares * 16, so shares 1 advances by 1024 per nanosecond. (Stoica and
// Abdel-Wahab, "Earliest Eligible Virtual Deadline First", 1995.)
//
// Virtual times wrap (weight 1: after 6.5 days of service to half the range), so a VirtualTime is ordered
// only by the signed difference of two that are close: never compare raw values. No division wider than 64
// bits is used: the kernel links no __udivti3.
#pragma once

#include <cstdint>
#include <limits>

#include "lib/units.hpp"

namespace kernel::sched {

__extension__ typedef __int128 Int128;

inline constexpr std::uint32_t kVirtualShift = 14;
inline constexpr std::int64_t kVirtualPerNs = std::int64_t{1} << kVirtualShift;
inline constexpr std::uint32_t kWeightPerShare = 16;

// A distance in virtual time.
using VirtualSpan = std::int64_t;

class VirtualTime {
  public:
    constexpr VirtualTime() = default;
    [[nodiscard]] static constexpr VirtualTime from_raw(std::uint64_t raw) { return VirtualTime{raw}; }
    [[nodiscard]] constexpr std::uint64_t raw() const { return raw_; }

    // Wraps. Pre for the meaning of the sign: the two are less than 2^63 apart.
    friend constexpr VirtualSpan operator-(VirtualTime a, VirtualTime b) {
        return static_cast<VirtualSpan>(a.raw_ - b.raw_);
    }
    friend constexpr VirtualTime operator+(VirtualTime a, VirtualSpan span) {
        return VirtualTime{a.raw_ + static_cast<std::uint64_t>(span)};
    }
    friend constexpr VirtualTime operator-(VirtualTime a, VirtualSpan span) {
        return VirtualTime{a.raw_ - static_cast<std::uint64_t>(span)};
    }
    constexpr bool operator==(const VirtualTime&) const = default;

  private:
    constexpr explicit VirtualTime(std::uint64_t raw) : raw_{raw} {}
    std::uint64_t raw_{0};
};

constexpr bool is_before(VirtualTime a, VirtualTime b) {
    return a - b < 0;
}
// Of the values, not of the objects: those would have to be in memory.
constexpr VirtualTime earlier(VirtualTime a, VirtualTime b) {
    return VirtualTime::from_raw(is_before(b, a) ? b.raw() : a.raw());
}
constexpr VirtualTime later(VirtualTime a, VirtualTime b) {
    return VirtualTime::from_raw(is_before(a, b) ? b.raw() : a.raw());
}

// floor(dividend / divisor) of a dividend beyond 64 bits, in 64-bit steps. Out of line: it would cost its
// callers registers.
[[gnu::noinline]] constexpr std::int64_t floor_divide_wide(Int128 dividend, std::uint32_t divisor) {
    const bool negative = dividend < 0;
    __extension__ using UInt128 = unsigned __int128;
    // Of a negative dividend the ceiling of its magnitude is taken: floor(-a / d) = -ceil(a / d).
    UInt128 magnitude =
        negative ? UInt128{0} - static_cast<UInt128>(dividend) : static_cast<UInt128>(dividend);
    if (negative) {
        magnitude += divisor - 1;
    }
    std::uint64_t quotient = 0;
    std::uint64_t remainder = 0;
    for (int shift = 96; shift >= 0; shift -= 32) {
        const auto digit = static_cast<std::uint32_t>(magnitude >> static_cast<unsigned>(shift));
        const std::uint64_t part = (remainder << 32U) | digit;
        quotient = (quotient << 32U) | (part / divisor);
        remainder = part % divisor;
    }
    return static_cast<std::int64_t>(negative ? 0 - quotient : quotient);
}

// floor(dividend / divisor). Pre: divisor > 0; the quotient fits 64 bits.
constexpr std::int64_t floor_divide(Int128 dividend, std::uint32_t divisor) {
    const auto narrow = static_cast<std::int64_t>(dividend);
    if (narrow != dividend) [[unlikely]] {
        return floor_divide_wide(dividend, divisor);
    }
    const auto by = static_cast<std::int64_t>(divisor);
    const std::int64_t quotient = narrow / by;
    return quotient - (quotient * by > narrow ? 1 : 0);
}

// How far `service` of the reference hart moves something of this weight. Pre: weight > 0, 0 <= service <
// 2^48 ns.
constexpr VirtualSpan span_of(Duration service, std::uint32_t weight) {
    return service.ns() * kVirtualPerNs / static_cast<std::int64_t>(weight);
}

// A clock that is moved by service exactly: what the division leaves is carried, so nothing is lost or
// gained. Post: weight * (sum of advances) + carry == service * capacity * 2^4, summed over all calls. Pre: 0
// <= service < 2^40 ns, 1 <= capacity <= 1024, weight > 0.
constexpr VirtualSpan advance(Duration service, std::uint32_t capacity, std::uint32_t weight,
                              std::uint64_t& carry) {
    const auto units =
        static_cast<std::uint64_t>(service.ns()) * (std::uint64_t{capacity} << (kVirtualShift - 10)) + carry;
    carry = units % weight;
    return static_cast<VirtualSpan>(units / weight);
}

// The least time after which advance() will have moved by at least `span`. A span <= 0 takes none.
constexpr Duration time_to_advance(VirtualSpan span, std::uint32_t capacity, std::uint32_t weight,
                                   std::uint64_t carry) {
    if (span <= 0) {
        return Duration{};
    }
    const std::uint32_t per_ns = capacity << (kVirtualShift - 10);
    // Nearly always both factors are small; a weight is at most 16 000.
    constexpr VirtualSpan kShort = VirtualSpan{1} << 47U;
    if (span < kShort && weight < (1U << 14U)) [[likely]] {
        const std::int64_t units =
            span * static_cast<std::int64_t>(weight) - static_cast<std::int64_t>(carry);
        return units <= 0 ? Duration{} : Duration::nanoseconds((units + per_ns - 1) / per_ns);
    }
    const Int128 units = Int128{span} * weight - static_cast<Int128>(carry);
    if (units <= 0) {
        return Duration{};
    }
    return Duration::nanoseconds(floor_divide(units + per_ns - 1, per_ns));
}

// A distance re-expressed for another weight so that the service it stands for stays the same; rounds down.
constexpr VirtualSpan rescale(VirtualSpan span, std::uint32_t old_weight, std::uint32_t new_weight) {
    return old_weight == new_weight ? span : floor_divide(Int128{span} * old_weight, new_weight);
}

// The same of what is left of a request: one that is not used up is not rounded to that.
constexpr VirtualSpan rescale_rest(VirtualSpan rest, std::uint32_t old_weight, std::uint32_t new_weight) {
    const VirtualSpan rescaled = rescale(rest, old_weight, new_weight);
    return rescaled == 0 && rest != 0 ? 1 : rescaled;
}

}  // namespace kernel::sched
