// SPDX-License-Identifier: MIT
// Harts that watch each other (watchdog=SECONDS). The kernel runs with interrupts off, so a hart that loops
// there, or waits for a lock for ever, answers no interrupt. Each online hart looks at the next one four
// times in the time it is given: it interrupts it, and sees whether that was taken. A hart that sleeps need
// not answer, and its watcher then looks no further until it is called by the sleeper that woke: where all
// harts sleep, no timer is set.
//
// Concurrency: each function is for the calling hart; no lock is held.
#pragma once

#include "lib/ids.hpp"
#include "lib/units.hpp"

namespace kernel::task {

// Immutable once harts are online: whether they watch each other.
extern constinit bool is_watching;

// From the first look on; `on_lockup` gets the silent CPU, and for how long it was silent. Pre: before any
// hart is online; limit > 0.
void set_watchdog(Duration limit, void (*on_lockup)(CpuId silent, Duration silence));

// Begins to watch, if the hart does not: it came online, or was interrupted.
void resume_watching();
// The hart has something to run after a sleep: its watcher has to know if it looks no further. What it does
// about interrupts while it sleeps is not watched, or the looks of two harts would wake each other for ever.
void tell_watcher();
// A look, and when the next one is due; never() while the hart watched sleeps.
[[nodiscard]] Instant look_at_neighbour(Instant now);

}  // namespace kernel::task
