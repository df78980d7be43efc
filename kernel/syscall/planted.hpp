// SPDX-License-Identifier: MIT
// Defects to be found. In builds with NEURON_COVERAGE by the fuzzer of calls (neuron.break=sequence): a task
// that makes three certain calls, one after the other with anything in between, ends the kernel. In builds
// with NEURON_KCSAN by the watched accesses (neuron.break=race): what all harts write to without a lock.
#pragma once

#include "task/task.hpp"

namespace kernel::syscall {

#ifdef NEURON_COVERAGE
// A task makes the call its frame holds. Pre: it runs on this hart.
void note_planted_step(const task::Task& task);
#endif
#ifdef NEURON_KCSAN
// This hart makes a call.
void race_as_planted();
#endif

}  // namespace kernel::syscall
