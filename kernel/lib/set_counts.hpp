// SPDX-License-Identifier: MIT
// SetCounts: for each of 64 things, how many sets hold it; a set is a word. The counts stand upright: slice i
// has bit i of every count, and adding a set ripples its carries through the slices, all 64 at a time. That
// takes as many steps as the longest carry is long, one or two mostly, whatever the set holds. Concurrency:
// none of its own; guarded by whatever guards the sets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/check.hpp"

namespace kernel {

class SetCounts {
  public:
    static constexpr std::uint32_t kMax = (1U << 16) - 1;

    // Pre: no count of a thing in `set` is kMax.
    constexpr void add(std::uint64_t set) {
        for (std::size_t i = 0; set != 0; ++i) {
            DCHECK(i < slices_.size());
            const std::uint64_t carry = slices_[i] & set;
            slices_[i] ^= set;
            set = carry;
        }
    }
    // Pre: no count of a thing in `set` is 0.
    constexpr void remove(std::uint64_t set) {
        for (std::size_t i = 0; set != 0; ++i) {
            DCHECK(i < slices_.size());
            const std::uint64_t borrow = ~slices_[i] & set;
            slices_[i] ^= set;
            set = borrow;
        }
    }
    // Of the thing that is bit `bit` of a set. Pre: bit < 64.
    [[nodiscard]] constexpr std::uint32_t count(std::uint32_t bit) const {
        std::uint64_t result = 0;
        for (std::size_t i = 0; i < slices_.size(); ++i) {
            result |= (slices_[i] >> bit & 1) << i;
        }
        return static_cast<std::uint32_t>(result);
    }

  private:
    std::array<std::uint64_t, 16> slices_{};
};

}  // namespace kernel
