// SPDX-License-Identifier: MIT
// A defect for the fuzzer of calls to find (neuron.break=sequence): a task that makes three certain calls,
// one after the other with anything in between, ends the kernel. In builds with NEURON_COVERAGE alone.
#pragma once

#include "task/task.hpp"

namespace kernel::syscall {

#ifdef NEURON_COVERAGE
// A task makes the call its frame holds. Pre: it runs on this hart.
void note_planted_step(const task::Task& task);
#endif

}  // namespace kernel::syscall
