// SPDX-License-Identifier: MIT
// Starting the other harts through SBI HSM (SBI 2.0, chapter 9). A hart that does not come, or comes too
// late, is left out, and the kernel goes on with those that came: on some boards the firmware accepts the
// start of a hart that cannot run S-mode and it never arrives.
#pragma once

#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"

namespace kernel::smp {

// All harts are asked at once and share this deadline.
inline constexpr Duration kArrivalDeadline = Duration::seconds(1);

// Asks the firmware to start `cpus` under the page table with this root; those it refuses are reported and
// dropped from the answer. Pre: boot hart; arch::cpu_locals has their numbers and stacks.
[[nodiscard]] CpuMask start_harts(CpuMask cpus, PhysAddr page_table_root);

// Waits until `cpu` has arrived or `deadline` has passed; from then on a late comer parks itself. True when
// it came.
[[nodiscard]] bool await_hart(CpuId cpu, Instant deadline);

// The first thing a started hart does: announces itself. False when nobody waits for it any more; then it
// must park.
[[nodiscard]] bool report_arrival();

// The CPUs that run in secondary_main's place: on the stack and with the CpuLocal that were made for them.
// Each says so of itself in note_running(), which it calls once it takes part in scheduling.
void note_running();
[[nodiscard]] CpuMask running_cpus();

// Stops the calling hart, or waits for ever where the firmware cannot.
[[noreturn]] void park_this_hart();

}  // namespace kernel::smp
