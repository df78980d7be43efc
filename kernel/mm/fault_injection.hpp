// SPDX-License-Identifier: MIT
// Debug builds can make the k-th allocation from now on fail, once, or one in many for ever, to prove that
// every caller survives NoMemory. In release builds this is nothing. Concurrency: atomic.
#pragma once

#include <cstdint>

namespace kernel::mm {

#ifdef NEURON_DEBUG
// The allocation after `successes` more successful ones fails; later ones succeed again.
void fail_allocation_after(std::uint64_t successes);
// From now on about one of `interval` (>= 1) allocations fails, but for those made while is_exempt() holds.
void fail_allocations_at_random(std::uint32_t interval, bool (*is_exempt)());
void stop_failing_allocations();
// True when the armed failure has happened.
[[nodiscard]] bool has_allocation_failed();
// Asked by each allocator, once per allocation.
[[nodiscard]] bool should_fail_allocation();
#else
[[nodiscard]] constexpr bool should_fail_allocation() {
    return false;
}
#endif

}  // namespace kernel::mm
