// SPDX-License-Identifier: MIT
#include "mm/kernel_map.hpp"

#include <algorithm>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "mm/asid.hpp"
#include "mm/frames.hpp"

namespace kernel::mm {

namespace {

constinit KernelMap the_kernel_map;

constexpr std::uint32_t kStackOrder = 2;
static_assert(kPageSize << kStackOrder == kHartStackBytes);
static_assert(kMaxCpus * kHartStackSlotBytes <= kStacksBytes);

bool is_aligned(const ImageSegment& segment) {
    return is_page_aligned(segment.start.value()) && is_page_aligned(segment.physical.value()) &&
           is_page_aligned(segment.bytes);
}

bool is_in_image_window(const ImageSegment& segment) {
    // The window ends where the address space does; its last page stays unmapped.
    const std::uint64_t window = ~std::uint64_t{0} - kPageSize + 1 - kImageBase.value();
    return segment.start >= kImageBase && segment.start - kImageBase <= window &&
           segment.bytes <= window - (segment.start - kImageBase);
}

bool is_in_physmap(const PhysRange& range) {
    return range.start.value() <= kPhysmapBytes && range.bytes <= kPhysmapBytes - range.start.value();
}

bool is_in_stack_window(VirtAddr va) {
    return va >= kStacksBase && va - kStacksBase < kStacksBytes;
}

}  // namespace

KernelMap& kernel_map() {
    return the_kernel_map;
}

Result<void> KernelMap::build(const KernelMapDescription& description) {
    CHECK(table_.root() == PhysAddr{});
    for (const ImageSegment* segment : {&description.text, &description.rodata, &description.data}) {
        if (!is_aligned(*segment) || !is_in_image_window(*segment)) {
            return Error::InvalidArgument;
        }
    }
    for (const PhysRange& range : description.ram) {
        if (!is_page_aligned(range.start.value()) || !is_page_aligned(range.bytes) || !is_in_physmap(range)) {
            return Error::InvalidArgument;
        }
    }
    table_ = TRY(PageTable::create());
    fixed_ = {PhysRange{description.text.physical, description.text.bytes},
              PhysRange{description.rodata.physical, description.rodata.bytes}};
    const auto map_segment = [this](const ImageSegment& segment, Protection protection) {
        return table_.map_range(segment.start, segment.physical, segment.bytes, protection,
                                PageOwner::Kernel);
    };
    TRY(map_segment(description.text, kReadExecute));
    TRY(map_segment(description.rodata, kReadOnly));
    TRY(map_segment(description.data, kReadWrite));
    for (const PhysRange& range : description.ram) {
        TRY(map_physmap(range, description));
    }
    // The tables below these root entries exist from now on, so that every user root shares them.
    TRY(table_.make_slot(kMmioBase, 1));
    TRY(table_.make_slot(kStacksBase, 1));
    return {};
}

Result<void> KernelMap::map_physmap(const PhysRange& ram, const KernelMapDescription& description) {
    PhysAddr at = ram.start;
    while (at < ram.end()) {
        // The next piece with one protection.
        PhysAddr end = ram.end();
        Protection protection = kReadWrite;
        for (const ImageSegment* fixed : {&description.text, &description.rodata}) {
            const PhysAddr fixed_end = fixed->physical + fixed->bytes;
            if (at >= fixed->physical && at < fixed_end) {
                protection = kReadOnly;
                end = std::min(end, fixed_end);
            } else if (at < fixed->physical) {
                end = std::min(end, fixed->physical);
            }
        }
        TRY(table_.map_range(kPhysmapBase + at.value(), at, end - at, protection, PageOwner::Kernel));
        at = end;
    }
    return {};
}

// A hart may remember that nothing was mapped here, and its walker may not have seen the entry yet
// (Privileged Architecture, SFENCE.VMA). Harts that start later begin with an empty TLB.
void KernelMap::note_new_mapping(VirtAddr start, std::uint64_t bytes) {
    arch::flush_tlb(CpuMask::of(arch::current_cpu()), start, bytes, kSharedAsid);
}

Result<VirtAddr> KernelMap::map_mmio(PhysAddr start, std::uint64_t bytes) {
    const std::uint64_t offset = page_offset(start.value());
    if (bytes == 0 || bytes > kMmioBytes) {
        return Error::InvalidArgument;
    }
    const std::uint64_t length = page_up(offset + bytes);
    // A wide window lies as its device does, so that large pages fit.
    const bool is_wide = length >= kMegaPageSize;
    const std::uint64_t skipped =
        is_wide ? (page_down(start).value() - mmio_next_.value()) % kMegaPageSize : 0;
    const std::uint64_t used = mmio_next_ - kMmioBase;
    // An unmapped page after each device: an access past its end faults.
    if (skipped + length + kPageSize > kMmioBytes - used) {
        return Error::NoMemory;
    }
    const VirtAddr va = mmio_next_ + skipped;
    TRY(table_.map_range(va, page_down(start), length, kReadWrite, PageOwner::Kernel));
    mmio_next_ = va + length + kPageSize;
    note_new_mapping(va, length);
    return va + offset;
}

Result<VirtAddr> KernelMap::map_stack(CpuId cpu) {
    CHECK(cpu.value() < kMaxCpus);
    const PhysAddr block = TRY(frames().allocate(kStackOrder));
    TRY(table_.map_range(stack_bottom(cpu), block, kHartStackBytes, kReadWrite, PageOwner::Kernel));
    note_new_mapping(stack_bottom(cpu), kHartStackBytes);
    return stack_bottom(cpu) + kHartStackBytes;
}

VirtAddr KernelMap::stack_bottom(CpuId cpu) {
    return kStacksBase +
           (std::uint64_t{cpu.value()} * kHartStackSlotBytes + kHartStackSlotBytes - kHartStackBytes);
}

std::optional<CpuId> KernelMap::guard_owner(VirtAddr va) {
    if (!is_in_stack_window(va)) {
        return std::nullopt;
    }
    const std::uint64_t slot = (va - kStacksBase) / kHartStackSlotBytes;
    if (slot >= kMaxCpus || va >= stack_bottom(CpuId{static_cast<std::uint32_t>(slot)})) {
        return std::nullopt;
    }
    return CpuId{static_cast<std::uint32_t>(slot)};
}

std::optional<AuditResult> KernelMap::audit() const {
    return audit_kernel_map(table_, fixed_);
}

}  // namespace kernel::mm
