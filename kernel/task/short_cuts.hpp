// SPDX-License-Identifier: MIT
// Whether what was found out once is used again, and what can come out in one way only is not asked: programs
// found by their path, headers of programs, the target of /proc/self/exe. Each place that asks says why that
// is sound. Not with neuron.paths=general.
#pragma once

#include <atomic>

namespace kernel::task {

inline constinit std::atomic<bool> short_cuts_allowed{true};

// Boot, or a test that takes both ways. Atomic.
inline void allow_short_cuts(bool on) {
    short_cuts_allowed.store(on, std::memory_order_relaxed);
}
[[nodiscard]] inline bool takes_short_cuts() {
    return short_cuts_allowed.load(std::memory_order_relaxed);
}

}  // namespace kernel::task
