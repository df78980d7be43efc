// SPDX-License-Identifier: MIT
// The part of a panic's report that tells of all harts.
#pragma once

#include "init/panic.hpp"

namespace kernel::init {

// Interrupts the other harts and waits until they have stopped, or 10 ms are over: a hart in the kernel takes
// no interrupts.
void stop_harts_for_report();
// The calling hart stops for a report on another one.
void note_stopped();
// What every hart was at, the stacks of those that did not stop, and the last events in each trace.
void describe_harts(PrintLine print_line);

}  // namespace kernel::init
