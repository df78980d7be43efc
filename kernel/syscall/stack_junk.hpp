// SPDX-License-Identifier: MIT
// What a call leaves unwritten of its stack is to be seen when it gets into a program's memory: it is filled
// with the byte of freed frames and objects. In builds with NEURON_DEBUG, at each call where neuron.junk=
// names a byte; always in those with NEURON_COVERAGE, for the fuzzer of calls.
#pragma once

namespace kernel::syscall {

#ifdef NEURON_COVERAGE
inline constexpr bool kAlwaysFillsStack = true;
#else
inline constexpr bool kAlwaysFillsStack = false;
#endif

#ifdef NEURON_DEBUG
// Fills the next kilobytes of the stack below the caller's frame with mm::junk().
[[gnu::noinline]] void fill_unused_stack();
// Eight bytes of the stack that nobody has written (neuron.break=leak-stack).
[[nodiscard]] unsigned long read_unwritten_stack();
#endif

}  // namespace kernel::syscall
