// SPDX-License-Identifier: MIT
// Starting the other harts through SBI HSM (SBI 2.0, chapter 9). A hart that does not come, or comes too
// late, is left out, and the kernel goes on with those that came: on some boards the firmware accepts the
// start of a hart that cannot run S-mode and it never arrives.
#pragma once

#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"

namespace kernel::smp {

// Of each hart, from when the firmware was asked.
inline constexpr Duration kArrivalDeadline = Duration::seconds(1);

// Asks the firmware to start `cpu` under the page table with this root and waits until it has arrived or
// kArrivalDeadline has passed; from then on a late comer parks itself. True when it came; otherwise it is
// reported why not. One hart at a time: OpenSBI 1.5.1 on harts 1..4 (JH7110, MPFS) now and then loses the
// start of a hart while another one is starting. Pre: boot hart; arch::cpu_locals has the CPU's number and
// stack.
[[nodiscard]] bool start_hart(CpuId cpu, PhysAddr page_table_root);

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
