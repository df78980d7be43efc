// SPDX-License-Identifier: MIT
// SharedRandom: numbers that look random and are the same from the same seed, for what misbehaves on purpose.
// Knuth's MMIX generator (The Art of Computer Programming, volume 2, 3.3.4), of which the upper bits are
// good. Not for secrets: chacha20.hpp. Concurrency: atomic, one step for each caller, whichever hart it is
// on.
#pragma once

#include <atomic>
#include <cstdint>

namespace kernel {

class SharedRandom {
  public:
    constexpr explicit SharedRandom(std::uint64_t seed) : state_{seed} {}
    // Begins anew. Pre: nobody calls next() meanwhile.
    void seed(std::uint64_t seed) { state_.store(seed, std::memory_order_relaxed); }
    [[nodiscard]] std::uint32_t next() {
        constexpr std::uint64_t kMultiplier = 6364136223846793005;
        constexpr std::uint64_t kIncrement = 1442695040888963407;
        std::uint64_t state = state_.load(std::memory_order_relaxed);
        while (!state_.compare_exchange_weak(state, state * kMultiplier + kIncrement,
                                             std::memory_order_relaxed)) {
        }
        return static_cast<std::uint32_t>(state >> 32);
    }

  private:
    std::atomic<std::uint64_t> state_;
};

}  // namespace kernel
