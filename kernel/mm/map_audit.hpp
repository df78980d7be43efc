// SPDX-License-Identifier: MIT
// Walks finished page tables, entry by entry, and says what in them breaks a promise of the map (layout.hpp):
// of the kernel's half, and of a program's. Asked at boot, and in debug builds whenever a program's page
// goes, when the machine is powered off, and by whoever reads /proc/map_audit.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/ids.hpp"
#include "mm/layout.hpp"
#include "mm/page_table.hpp"

namespace kernel::mm {

enum class AuditFinding : std::uint8_t {
    WritableAndExecutable,
    OpenToUserMode,         // a kernel page with U, or anything of the kernel's in the lower half
    ReservedBitsInTable,    // A, D or U in a table entry
    MissingAccessedDirty,   // a leaf without A, or writable without D: faults on hardware
    Misaligned,             // a large page to an unaligned frame
    GuardMapped,            // below a hart's stack
    ExecutableOutsideText,  // kernel code may lie in the image's window only, not in physmap or devices
    FixedMemoryWritable,    // the image's text or read-only data, under any address
    // Of a program's half.
    ClosedToUserMode,  // no U, or global: not a program's page
    OutsideUserSpace,  // below kUserBase
    LargePage,         // programs have none
    NotForPrograms,    // the frame is the kernel's own memory, or no RAM of ours, or free
    KernelHalfDiffers,
};
[[nodiscard]] std::string_view text(AuditFinding finding);

struct AuditResult {
    AuditFinding finding;
    VirtAddr where;
};

// Checks a kernel's table; the lower half must be empty. `fixed`: what no entry may let anybody write to.
// Concurrency: nobody changes the table meanwhile.
[[nodiscard]] std::optional<AuditResult> audit_kernel_map(const PageTable& table,
                                                          std::span<const PhysRange> fixed = {});

// Checks one entry of a program's bottom table, not empty. Builds without NEURON_DEBUG do not know which
// frames are the kernel's.
[[nodiscard]] std::optional<AuditFinding> audit_user_leaf(Pte pte, VirtAddr va);

// Checks a program's half, and that the other half is the one of `kernel_root`. `pages`: adds how many
// entries it found. Concurrency: the caller holds the lock of the space.
[[nodiscard]] std::optional<AuditResult> audit_user_map(const PageTable& table, PhysAddr kernel_root,
                                                        std::uint64_t& pages);

}  // namespace kernel::mm
