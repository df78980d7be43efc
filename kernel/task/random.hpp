// SPDX-License-Identifier: MIT
// The kernel's random bytes: ChaCha20 in counter mode. A key makes a short stream, of which the first bytes
// are the next key and the others are handed out, each once; neither is kept after that, so that what was
// given out cannot be computed from a later state. As unpredictable as what it was seeded with.
#pragma once

#include <cstddef>
#include <span>

namespace kernel::task::random {

// Mixes in entropy (the device tree's rng-seed, the boot time). May be called often; never makes the state
// worse. Concurrency (both): any hart; no lock of rank LockRank::PageCache or above is held.
void seed(std::span<const std::byte> entropy);
// Fills `out`.
void fill(std::span<std::byte> out);

}  // namespace kernel::task::random
