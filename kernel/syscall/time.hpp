// SPDX-License-Identifier: MIT
// What the clock calls need to know of the machine.
#pragma once

#include <cstdint>

#include "lib/units.hpp"
#include "syscall/caller.hpp"

namespace kernel::syscall {

// CLOCK_REALTIME = time since boot + offset: the time of day at boot, since 1970-01-01 UTC. Pre: offset >= 0.
// Atomic.
void set_realtime_offset(Duration offset);
[[nodiscard]] Duration realtime_offset();

// Until when the caller's call was to wait that a signal interrupted and that goes on, no handler having run;
// never() for a call that begins. Pre: the wait was begun with OnSignal::Fails.
[[nodiscard]] Instant deadline_kept(const Caller& caller);

// When a clock shows `time` (>= 0): one that counts from boot or from 1970.
[[nodiscard]] Instant to_instant(Duration time, bool counts_from_1970);

// Of rdtime and of every clock. Boot, one hart. Pre: hz > 0.
void set_timebase_hz(std::uint64_t hz);
[[nodiscard]] std::uint64_t timebase_hz();

}  // namespace kernel::syscall
