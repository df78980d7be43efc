// SPDX-License-Identifier: MIT
// The kernel's half of every address space, built once at boot from a description: image, physmap, hart
// stacks, device registers. Nothing is writable and executable, nothing is open to user mode, and the text
// and read-only data of the image are read-only in the physmap too. audit() proves it by walking the finished
// table.
//
// The 256 root entries of the upper half are copied into every user root, so all that will ever be used exist
// when build() returns; what is mapped later only fills tables below them.
//
// Concurrency: boot hart only, before the others start; immutable afterwards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/result.hpp"
#include "mm/layout.hpp"
#include "mm/map_audit.hpp"
#include "mm/page_table.hpp"

namespace kernel::mm {

// A part of the kernel image; page aligned, in the window above kImageBase.
struct ImageSegment {
    VirtAddr start;
    PhysAddr physical;
    std::uint64_t bytes{0};
};

struct KernelMapDescription {
    ImageSegment text;               // R-X
    ImageSegment rodata;             // R--
    ImageSegment data;               // RW-, with bss and everything else of the image
    std::span<const PhysRange> ram;  // page aligned, ascending; without what firmware forbids to map
};

class KernelMap {
  public:
    constexpr KernelMap() = default;
    KernelMap(const KernelMap&) = delete;
    KernelMap& operator=(const KernelMap&) = delete;

    // NoMemory; InvalidArgument when the description is not page aligned or leaves its windows. Pre: called
    // once.
    [[nodiscard]] Result<void> build(const KernelMapDescription& description);
    [[nodiscard]] PhysAddr root() const { return table_.root(); }

    // Maps device registers [start, start + bytes), which need not be aligned; returns where `start` is.
    // Uncached by the platform's memory attributes, not by the page table (no Svpbmt on our boards).
    // NoMemory.
    [[nodiscard]] Result<VirtAddr> map_mmio(PhysAddr start, std::uint64_t bytes);
    // Makes the stack of a hart; returns its upper end, where sp starts. NoMemory. Pre: not made before.
    [[nodiscard]] Result<VirtAddr> map_stack(CpuId cpu);
    // The lowest mapped byte of a hart's stack; below lies the guard.
    [[nodiscard]] static VirtAddr stack_bottom(CpuId cpu);
    // The hart whose stack guard contains va, if any: how a fault is recognised as a stack overflow.
    [[nodiscard]] static std::optional<CpuId> guard_owner(VirtAddr va);

    // The first thing wrong with the finished table, or nothing.
    [[nodiscard]] std::optional<AuditResult> audit() const;

  private:
    static void note_new_mapping(VirtAddr start, std::uint64_t bytes);
    [[nodiscard]] Result<void> map_physmap(const PhysRange& ram, const KernelMapDescription& description);

    PageTable table_{};
    std::array<PhysRange, 2> fixed_{};  // text and read-only data of the image
    VirtAddr mmio_next_{kMmioBase};
};

// The kernel's one map.
[[nodiscard]] KernelMap& kernel_map();

}  // namespace kernel::mm
