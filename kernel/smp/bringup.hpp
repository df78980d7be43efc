// SPDX-License-Identifier: MIT
// Starting the other harts through SBI HSM (SBI 2.0, chapter 9). A hart that does not come, or comes too late, is left
// out, and the kernel goes on with those that came: on some boards the firmware accepts the start of a hart that cannot
// run S-mode and it never arrives.
#pragma once

#include "lib/cpu_mask.hpp"
#include "lib/result.hpp"
#include "lib/units.hpp"

namespace kernel::smp {

// All harts are asked at once and share this deadline.
inline constexpr Duration kArrivalDeadline = Duration::seconds(1);

// Makes stacks for `cpus` and asks the firmware to start them; those it refuses are reported and dropped from the answer.
// Pre: boot hart; arch::cpu_locals has their hart ids.
[[nodiscard]] CpuMask start_harts(CpuMask cpus);

// Waits until `cpu` has arrived or `deadline` has passed; from then on a late comer parks itself. True when it came.
[[nodiscard]] bool await_hart(CpuId cpu, Instant deadline);

// The first thing a started hart does: announces itself. False when nobody waits for it any more; then it must park.
[[nodiscard]] bool report_arrival();

// Stops the calling hart, or waits for ever where the firmware cannot.
[[noreturn]] void park_this_hart();

}  // namespace kernel::smp
