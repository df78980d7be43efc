// SPDX-License-Identifier: MIT
#pragma once

namespace kernel::syscall {

// Switches the scheduler's trace on without its notes on lag and page faults (neuron.trace=events); says so
// when there is no memory for it. Boot, once all CPUs that come are known.
void trace_from_boot();

}  // namespace kernel::syscall
