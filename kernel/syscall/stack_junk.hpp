// SPDX-License-Identifier: MIT
// What a call leaves unwritten of its stack is to be seen when it gets into a program's memory: the fuzzer of
// calls looks for the byte that freed frames and objects are filled with, too. In builds with
// NEURON_COVERAGE.
#pragma once

namespace kernel::syscall {

#ifdef NEURON_COVERAGE
// Fills the next kilobytes of the stack below the caller's frame with mm::kPoisonByte.
[[gnu::noinline]] void fill_unused_stack();
// Eight bytes of the stack that nobody has written (neuron.break=leak-stack).
[[nodiscard]] unsigned long read_unwritten_stack();
#endif

}  // namespace kernel::syscall
