// SPDX-License-Identifier: MIT
// RateTable: at what pace the tasks of one class count as served, next to each other, on a whole machine. Two
// tasks of equal shares deserve different rates where their masks differ, and no task can use more than one
// hart. A task's pace is its weight times the factor of its mask, but at most `whole`, the pace of a task
// that has a hart to itself. With exact paces everybody's machine-wide virtual time advances at the same
// speed.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/cpu_mask.hpp"

namespace kernel::sched {

// Masks told apart on the whole machine, and on one hart. What exceeds them counts as pinned where it is.
inline constexpr std::size_t kMaxRateGroups = 32;
inline constexpr std::size_t kMaxMaskGroups = 8;

struct RateTable {
    static constexpr std::uint32_t kFactorShift = 16;
    static constexpr std::uint64_t kFactorOne = std::uint64_t{1} << kFactorShift;
    static constexpr std::uint32_t kNoLimit = ~std::uint32_t{0};
    struct Row {
        CpuMask mask;
        std::uint64_t factor{kFactorOne};  // at most kLongestFactor
        constexpr bool operator==(const Row&) const = default;
    };
    // A pace fits 32 bits with room for the sum of 10 000: factors are cut to 2^14.
    static constexpr std::uint64_t kLongestFactor = kFactorOne << 14U;

    std::uint32_t generation{0};  // 0: paces are weights
    std::uint32_t count{0};
    std::uint32_t whole{kNoLimit};
    std::array<Row, kMaxRateGroups> rows{};

    // Pre: weight > 0. Post: > 0. A mask that is not in the table has factor 1.
    [[nodiscard]] constexpr std::uint32_t pace_of(std::uint32_t weight, CpuMask mask) const {
        std::uint64_t factor = kFactorOne;
        for (std::uint32_t i = 0; i < count; ++i) {
            if (rows[i].mask == mask) {
                factor = rows[i].factor;
                break;
            }
        }
        const std::uint64_t pace = (std::uint64_t{weight} * factor) >> kFactorShift;
        return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(pace, 1, whole));
    }
};

}  // namespace kernel::sched
