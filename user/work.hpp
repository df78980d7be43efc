// SPDX-License-Identifier: MIT
// Work that can be counted: a unit always costs the same instructions, whoever runs it and wherever.
#pragma once

#include <cstdint>

namespace user {

// About 10 000 instructions, hence 10 us under icount shift=0: short against every request length (>= 1 ms),
// long against the clock reading between two units.
inline constexpr std::uint32_t kUnitIterations = 2500;

// One unit. Kept out of line so that every caller runs the same instructions.
[[gnu::noinline]] inline void burn_unit() {
    std::uint64_t value = 1;
    for (std::uint32_t i = 0; i < kUnitIterations; ++i) {
        value = value * 6364136223846793005U + 1442695040888963407U;
        asm volatile("" : "+r"(value));  // keeps the loop and its value
    }
}

}  // namespace user
