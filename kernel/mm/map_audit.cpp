// SPDX-License-Identifier: MIT
#include "mm/map_audit.hpp"

#include <algorithm>
#include <array>

#include "arch/contract.hpp"
#include "mm/frames.hpp"

namespace kernel::mm {

namespace {

constexpr std::uint64_t kRootEntries = kTableEntries;
constexpr std::uint64_t kLowerHalf = kRootEntries / 2;

Pte entry_at(PhysAddr table, std::uint64_t index) {
    return PteSlot{static_cast<std::uint64_t*>(phys_to_virt(table)) + index}.load();
}

bool is_guard(VirtAddr va) {
    return va >= kStacksBase && va - kStacksBase < kStacksBytes &&
           (va - kStacksBase) % kHartStackSlotBytes < kHartStackSlotBytes - kHartStackBytes;
}

bool lacks_accessed_or_dirty(Pte pte) {
    return !pte.has_accessed() || (pte.protection().write && !pte.has_dirty());
}

bool has_reserved_bits(Pte table) {
    return table.has_accessed() || table.has_dirty() || table.is_user();
}

class KernelAudit {
  public:
    explicit KernelAudit(std::span<const PhysRange> fixed) : fixed_{fixed} {}

    std::optional<AuditResult> table(PhysAddr table, VirtAddr base, std::uint64_t entry_bytes) const {
        for (std::uint64_t index = 0; index < kTableEntries; ++index) {
            const Pte pte = entry_at(table, index);
            VirtAddr va = base + index * entry_bytes;
            if (entry_bytes == kGigaPageSize && index >= kLowerHalf) {
                va = kKernelHalf + (index - kLowerHalf) * kGigaPageSize;  // the upper half is sign-extended
            }
            if (!pte.is_valid()) {
                continue;
            }
            if (pte.is_leaf()) {
                if (const auto finding = leaf(pte, va, entry_bytes)) {
                    return AuditResult{*finding, va};
                }
                continue;
            }
            if (has_reserved_bits(pte) || entry_bytes == kPageSize) {
                return AuditResult{AuditFinding::ReservedBitsInTable, va};
            }
            if (const auto result = this->table(pte.frame(), va, entry_bytes / kTableEntries)) {
                return result;
            }
        }
        return std::nullopt;
    }

  private:
    std::optional<AuditFinding> leaf(Pte pte, VirtAddr va, std::uint64_t page_bytes) const {
        const Protection protection = pte.protection();
        if (!protection.is_allowed()) {
            return AuditFinding::WritableAndExecutable;
        }
        if (pte.is_user() || va < kKernelHalf) {
            return AuditFinding::OpenToUserMode;
        }
        if (lacks_accessed_or_dirty(pte)) {
            return AuditFinding::MissingAccessedDirty;
        }
        if (pte.frame().value() % page_bytes != 0) {
            return AuditFinding::Misaligned;
        }
        if (is_guard(va)) {
            return AuditFinding::GuardMapped;
        }
        if (protection.execute && va < kImageBase) {
            return AuditFinding::ExecutableOutsideText;
        }
        const bool reaches_fixed = std::ranges::any_of(fixed_, [&](const PhysRange& range) {
            return pte.frame() < range.end() && range.start < pte.frame() + page_bytes;
        });
        if (protection.write && reaches_fixed) {
            return AuditFinding::FixedMemoryWritable;
        }
        return std::nullopt;
    }

    std::span<const PhysRange> fixed_;
};

// The tables below a program's root, of which `level` is the level of the entries.
std::optional<AuditResult> audit_user_table(PhysAddr table, VirtAddr base, std::uint32_t level,
                                            std::uint64_t& pages) {
    const std::uint64_t entries = level == 2 ? kLowerHalf : kTableEntries;
    for (std::uint64_t index = 0; index < entries; ++index) {
        const Pte pte = entry_at(table, index);
        const VirtAddr va = base + (index << level_shift(level));
        if (pte.is_empty()) {
            continue;
        }
        if (level == 0) {
            ++pages;
            if (const auto finding = audit_user_leaf(pte, va)) {
                return AuditResult{*finding, va};
            }
            continue;
        }
        if (!pte.is_table()) {
            return AuditResult{AuditFinding::LargePage, va};
        }
        if (has_reserved_bits(pte)) {
            return AuditResult{AuditFinding::ReservedBitsInTable, va};
        }
        if (const auto result = audit_user_table(pte.frame(), va, level - 1, pages)) {
            return result;
        }
    }
    return std::nullopt;
}

}  // namespace

std::string_view text(AuditFinding finding) {
    static constexpr std::array<std::string_view, 13> kTexts{
        "a page is writable and executable",
        "a kernel page is open to user mode",
        "a table entry has reserved bits set",
        "a page lacks its accessed or dirty bit",
        "a large page maps an unaligned frame",
        "a stack guard is mapped",
        "a kernel page outside the image is executable",
        "the image's text or read-only data is writable",
        "a program's page is closed to it, or global",
        "a page at the null pointer",
        "a program has a large page",
        "a program's page is not memory for programs",
        "the kernel's half is not the kernel's",
    };
    static_assert(kTexts.size() == static_cast<std::size_t>(AuditFinding::KernelHalfDiffers) + 1);
    return kTexts[static_cast<std::size_t>(finding)];
}

std::optional<AuditResult> audit_kernel_map(const PageTable& table, std::span<const PhysRange> fixed) {
    return KernelAudit{fixed}.table(table.root(), VirtAddr{0}, kGigaPageSize);
}

std::optional<AuditFinding> audit_user_leaf(Pte pte, VirtAddr va) {
    if (!pte.protection().is_allowed()) {
        return AuditFinding::WritableAndExecutable;
    }
    if (!pte.is_user() || pte.is_global()) {
        return AuditFinding::ClosedToUserMode;
    }
    // A parked page has neither: no access is allowed.
    if (pte.is_valid() && lacks_accessed_or_dirty(pte)) {
        return AuditFinding::MissingAccessedDirty;
    }
    if (va < kUserBase || va >= kUserTop) {
        return AuditFinding::OutsideUserSpace;
    }
    if (!frames().is_for_programs(pte.frame())) {
        return AuditFinding::NotForPrograms;
    }
    return std::nullopt;
}

std::optional<AuditResult> audit_user_map(const PageTable& table, PhysAddr kernel_root,
                                          std::uint64_t& pages) {
    for (std::uint64_t index = kLowerHalf; index < kRootEntries; ++index) {
        if (entry_at(table.root(), index) != entry_at(kernel_root, index)) {
            return AuditResult{AuditFinding::KernelHalfDiffers,
                               kKernelHalf + (index - kLowerHalf) * kGigaPageSize};
        }
    }
    return audit_user_table(table.root(), VirtAddr{0}, 2, pages);
}

}  // namespace kernel::mm
