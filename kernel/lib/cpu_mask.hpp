// SPDX-License-Identifier: MIT
// CpuMask: a set of CpuIds, 0..kMaxCpus-1. A value type; AtomicCpuMask is the same set shared between harts.
#pragma once

#include <atomic>
#include <bit>
#include <compare>
#include <cstdint>

#include "lib/ids.hpp"

namespace kernel {

inline constexpr std::uint32_t kMaxCpus = 64;

class CpuMask {
  public:
    constexpr CpuMask() = default;
    [[nodiscard]] static constexpr CpuMask from_bits(std::uint64_t bits) { return CpuMask{bits}; }
    [[nodiscard]] static constexpr CpuMask of(CpuId cpu) { return CpuMask{std::uint64_t{1} << cpu.value()}; }
    // The first `count` CPUs. Pre: count <= kMaxCpus.
    [[nodiscard]] static constexpr CpuMask first(std::uint32_t count) {
        return CpuMask{count >= kMaxCpus ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1};
    }
    [[nodiscard]] static constexpr CpuMask all() { return first(kMaxCpus); }

    [[nodiscard]] constexpr std::uint64_t bits() const { return bits_; }
    [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
    [[nodiscard]] constexpr bool contains(CpuId cpu) const { return ((bits_ >> cpu.value()) & 1U) != 0; }
    [[nodiscard]] constexpr bool intersects(CpuMask other) const { return (bits_ & other.bits_) != 0; }
    [[nodiscard]] constexpr std::uint32_t count() const {
        return static_cast<std::uint32_t>(std::popcount(bits_));
    }
    [[nodiscard]] constexpr bool count_is_one() const { return bits_ != 0 && (bits_ & (bits_ - 1)) == 0; }
    // Pre: !empty().
    [[nodiscard]] constexpr CpuId lowest() const {
        return CpuId{static_cast<std::uint32_t>(std::countr_zero(bits_))};
    }
    // The next member at or after `cpu`, wrapping around. Pre: !empty().
    [[nodiscard]] constexpr CpuId next_from(CpuId cpu) const {
        const auto rotated = std::rotr(bits_, static_cast<int>(cpu.value()));
        const auto step = static_cast<std::uint32_t>(std::countr_zero(rotated));
        return CpuId{(cpu.value() + step) % kMaxCpus};
    }

    constexpr void add(CpuId cpu) { bits_ |= of(cpu).bits_; }
    constexpr void remove(CpuId cpu) { bits_ &= ~of(cpu).bits_; }
    constexpr bool operator==(const CpuMask&) const = default;
    friend constexpr CpuMask operator&(CpuMask a, CpuMask b) { return CpuMask{a.bits_ & b.bits_}; }
    friend constexpr CpuMask operator|(CpuMask a, CpuMask b) { return CpuMask{a.bits_ | b.bits_}; }
    [[nodiscard]] constexpr CpuMask without(CpuMask other) const { return CpuMask{bits_ & ~other.bits_}; }

    // Calls f(CpuId) for each member in ascending order.
    template <class F>
    constexpr void for_each(F&& f) const {
        for (auto rest = bits_; rest != 0; rest &= rest - 1) {
            f(CpuId{static_cast<std::uint32_t>(std::countr_zero(rest))});
        }
    }

  private:
    constexpr explicit CpuMask(std::uint64_t bits) : bits_{bits} {}
    std::uint64_t bits_{0};
};

// Concurrency: atomic; every operation is sequentially consistent unless an order is given.
class AtomicCpuMask {
  public:
    [[nodiscard]] CpuMask load(std::memory_order order = std::memory_order_seq_cst) const {
        return CpuMask::from_bits(bits_.load(order));
    }
    void add(CpuId cpu) { bits_.fetch_or(CpuMask::of(cpu).bits()); }
    void remove(CpuId cpu) { bits_.fetch_and(~CpuMask::of(cpu).bits()); }
    // Removes cpu; true for exactly one of several concurrent callers when it was a member.
    bool try_claim(CpuId cpu) {
        return (bits_.fetch_and(~CpuMask::of(cpu).bits()) & CpuMask::of(cpu).bits()) != 0;
    }

  private:
    std::atomic<std::uint64_t> bits_{0};
};

}  // namespace kernel
