// SPDX-License-Identifier: MIT
// The /cpus node: which harts there are, which of them the kernel may use, and why not the others.
#pragma once

#include <optional>

#include "fdt/machine.hpp"
#include "fdt/tree.hpp"

namespace kernel::fdt {

// The interrupt controller inside a cpu node, as interrupts-extended of a PLIC refers to it.
struct HartInterruptController {
    std::uint32_t phandle{0};
    HartId hart;
};
using HartInterruptControllers = FixedVector<HartInterruptController, 2 * kMaxCpus>;

// Adds `what` to machine.problems, or counts it when that is full.
void note(Machine& machine, Problem problem);

// Fills harts, skipped_harts, common_isa and timebase_hz; lists the controllers of every hart, used or not.
// Returns what makes the machine unusable.
[[nodiscard]] std::optional<Problem> read_harts(const Tree& tree, Machine& machine,
                                                HartInterruptControllers& controllers);

}  // namespace kernel::fdt
