// SPDX-License-Identifier: MIT
#include "mm/page_table.hpp"

#include <algorithm>
#include <atomic>
#include <bit>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "mm/frames.hpp"

namespace kernel::mm {

namespace {

constexpr std::uint32_t kRootLevel = 2;

constexpr std::uint64_t level_bytes(std::uint32_t level) {
    return std::uint64_t{1} << level_shift(level);
}

// The first address after the entry of `level` that covers va. The end of the address space wraps to 0, as it
// must.
VirtAddr after_entry(VirtAddr va, std::uint32_t level) {
    return VirtAddr{(va.value() & ~(level_bytes(level) - 1)) + level_bytes(level)};
}

// Whether the entry of `level` for va covers nothing outside [low, high).
bool lies_within(VirtAddr va, std::uint32_t level, VirtAddr low, VirtAddr high) {
    const std::uint64_t start = va.value() & ~(level_bytes(level) - 1);
    return start >= low.value() && start + level_bytes(level) <= high.value();
}

// The entries of a root that are the kernel's.
constexpr std::uint32_t kUpperHalf = kTableEntries / 2;
static_assert(kUpperHalf / PteSlot::kLine == 32, "a bit for each line");

PteSlot root_entry(PhysAddr root, std::uint32_t index) {
    return PteSlot{static_cast<std::uint64_t*>(phys_to_virt(root)) + index};
}

std::uint32_t find_upper_lines_in_use(PhysAddr root) {
    std::uint32_t lines = 0;
    for (std::uint32_t i = 0; i < 32; ++i) {
        const bool is_empty = root_entry(root, kUpperHalf + i * PteSlot::kLine).starts_empty_line();
        lines |= is_empty ? 0 : std::uint32_t{1} << i;
    }
    return lines;
}

// The same for the root asked for last, which is the kernel's only one: the number of its frame, and the
// lines. The kernel's half does not change once there are programs, whose tables have a copy of it.
constinit std::atomic<std::uint64_t> known_upper_lines{0};

// The cache lines of the kernel's half of a root that are not empty, which are few: a bit for each.
std::uint32_t upper_lines_in_use(PhysAddr root) {
    const std::uint64_t frame = root.value() >> kPageShift << 32;
    std::uint64_t known = known_upper_lines.load(std::memory_order_relaxed);
    if (known >> 32 << 32 != frame) {
        known = frame | find_upper_lines_in_use(root);
        known_upper_lines.store(known, std::memory_order_relaxed);
    }
    const auto lines = static_cast<std::uint32_t>(known);
    DCHECK(lines == find_upper_lines_in_use(root));
    return lines;
}

}  // namespace

Result<PageTable> PageTable::create() {
    known_upper_lines.store(0, std::memory_order_relaxed);  // it may lie where another one lay
    return PageTable{TRY(frames().allocate_zeroed_frame())};
}

Result<PageTable> PageTable::create_user(PhysAddr kernel_root) {
    const PageTable table{TRY(frames().allocate_zeroed_frame())};
    for (std::uint32_t lines = upper_lines_in_use(kernel_root); lines != 0; lines &= lines - 1) {
        const auto line = kUpperHalf + static_cast<std::uint32_t>(std::countr_zero(lines)) * PteSlot::kLine;
        for (std::uint32_t i = line; i < line + PteSlot::kLine; ++i) {
            root_entry(table.root_, i).store_unseen(root_entry(kernel_root, i).load());
        }
    }
    return table;
}

Result<PteSlot> PageTable::make_slot(VirtAddr va, std::uint32_t level) {
    PhysAddr table = root_;
    std::uint32_t at = kRootLevel;
    while (at > level && !entry_for(table, va, at).load().is_empty()) {
        const Pte pte = entry_for(table, va, at).load();
        CHECK(pte.is_table());
        table = pte.frame();
        --at;
    }
    if (at == level) {
        return entry_for(table, va, level);
    }
    // The missing tables are hung below one another first and hooked in last: a failure leaves nothing
    // behind, and no walker sees a half-made path.
    const PteSlot hook = entry_for(table, va, at);
    const PhysAddr top = TRY(frames().reuse_zeroed_frame());
    PhysAddr bottom = top;
    if (at - level == 2) {
        const Result<PhysAddr> lower = frames().reuse_zeroed_frame();
        if (!lower) {
            frames().unref(top);
            return lower.error();
        }
        entry_for(top, va, at - 1).store(Pte::table(*lower));
        bottom = *lower;
    }
    hook.store(Pte::table(top));
    return entry_for(bottom, va, level);
}

PteSlot PageTable::walk(VirtAddr va) const {
    const Pte root = entry_for(root_, va, 2).load();
    if (!root.is_table()) {
        return PteSlot{};
    }
    const Pte middle = entry_for(root.frame(), va, 1).load();
    if (!middle.is_table()) {
        return PteSlot{};
    }
    recent_for(va) = {.span = va.value() >> level_shift(1),
                      .entries = static_cast<std::uint64_t*>(phys_to_virt(middle.frame()))};
    return entry_for(middle.frame(), va, 0);
}

Translation PageTable::lookup(VirtAddr va) const {
    PhysAddr table = root_;
    for (std::uint32_t level = kRootLevel;; --level) {
        const Pte pte = entry_for(table, va, level).load();
        if (level == 0 || !pte.is_table()) {
            return {pte, level_bytes(level)};
        }
        table = pte.frame();
    }
}

Result<void> PageTable::map_page(VirtAddr va, PhysAddr frame, Protection protection, PageOwner owner) {
    const PteSlot slot = TRY(make_slot(va));
    CHECK(slot.load().is_empty());
    slot.store(Pte::leaf(frame, protection, owner));
    return {};
}

Result<void> PageTable::map_range(VirtAddr va, PhysAddr start, std::uint64_t bytes, Protection protection,
                                  PageOwner owner) {
    CHECK(is_page_aligned(va.value()) && is_page_aligned(start.value()) && is_page_aligned(bytes));
    while (bytes > 0) {
        std::uint32_t level = kRootLevel;
        while (level > 0 && (((va.value() | start.value()) & (level_bytes(level) - 1)) != 0 ||
                             bytes < level_bytes(level))) {
            --level;
        }
        const PteSlot slot = TRY(make_slot(va, level));
        CHECK(slot.load().is_empty());
        slot.store(Pte::leaf(start, protection, owner));
        va = va + level_bytes(level);
        start = start + level_bytes(level);
        bytes -= level_bytes(level);
    }
    return {};
}

Pte PageTable::unmap_page(VirtAddr va) {
    const PteSlot slot = find_slot(va);
    if (!slot) {
        return {};
    }
    const Pte before = slot.load();
    slot.store({});
    return before;
}

bool PageTable::protect_page(VirtAddr va, Protection protection) {
    const PteSlot slot = find_slot(va);
    if (!slot || !slot.load().is_resident()) {
        return false;
    }
    slot.store(slot.load().with_protection(protection));
    return true;
}

void PageTable::destroy_user() {
#ifdef NEURON_DEBUG
    for (std::uint32_t index = 0; index < kTableEntries / 2; index += PteSlot::kLine) {
        CHECK(entry_for(root_, VirtAddr{index * level_bytes(kRootLevel)}, kRootLevel).starts_empty_line());
    }
#endif
    frames().unref(root_);
    root_ = PhysAddr{};
}

PageTable::Step PageTable::step_at(VirtAddr va) const {
    PhysAddr table = root_;
    for (std::uint32_t level = kRootLevel; level > 0; --level) {
        const Pte pte = entry_for(table, va, level).load();
        if (!pte.is_table()) {
            return {PteSlot{}, after_entry(va, level)};
        }
        table = pte.frame();
    }
    return {entry_for(table, va, 0), after_entry(va, 1)};
}

PageTable::Unhooked PageTable::unhook_at(VirtAddr va, VirtAddr end, VirtAddr low, VirtAddr high) {
    Unhooked unhooked;
    const PteSlot root_slot = entry_for(root_, va, 2);
    if (!root_slot.load().is_table()) {
        unhooked.next = after_entry(va, 2);
        return unhooked;
    }
    unhooked.next = after_entry(va, 1);
    const PhysAddr middle = root_slot.load().frame();
    const PteSlot middle_slot = entry_for(middle, va, 1);
    if (middle_slot.load().is_table() && lies_within(va, 1, low, high)) {
        forget(va);
        unhooked.tables[unhooked.count++] = middle_slot.load().frame();
        middle_slot.store({});
    }
    // With the last of its tables in the range.
    if ((unhooked.next >= end || unhooked.next == after_entry(va, 2)) && lies_within(va, 2, low, high)) {
        unhooked.tables[unhooked.count++] = middle;
        root_slot.store({});
    }
    return unhooked;
}

}  // namespace kernel::mm
