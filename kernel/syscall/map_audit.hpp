// SPDX-License-Identifier: MIT
// The page tables of the whole machine, walked: the kernel's, and those of every program that lives now. A
// promise of the map that does not hold stops the machine with a report. Debug builds do so at power-off and
// when /proc/map_audit is read; each page of a program is looked at once more when it goes.
#pragma once

#include <cstdint>

namespace kernel::syscall {

struct MapAudit {
    std::uint64_t spaces{0};  // of programs
    std::uint64_t pages{0};   // of theirs, counted once for each space
};

// Costs some ten instructions for each entry of each table, with interrupts off. Concurrency: any hart, no
// lock held; others go on.
MapAudit audit_all_maps();

}  // namespace kernel::syscall
