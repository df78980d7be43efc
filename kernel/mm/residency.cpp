// SPDX-License-Identifier: MIT
// AddressSpace: how pages become resident, change and go, and how TLBs learn of it.
#include <algorithm>
#include <cstring>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "lib/fixed_vector.hpp"
#include "mm/address_space.hpp"
#include "mm/asid.hpp"
#include "mm/frames.hpp"
#include "mm/instruction_fence.hpp"

namespace kernel::mm {

namespace {

// Tables that can become empty in one step: 4096 entries looked at lie in at most ten tables of either kind.
constexpr std::size_t kMaxTablesPerStep = 32;

// A frame of its own for a page that the file fills only in part.
Result<PhysAddr> copy_file_part(const FileObject& file, std::uint64_t offset, std::uint64_t bytes) {
    const PhysAddr frame = TRY(frames().allocate_frame());
    const auto page = frame_bytes(frame);
    std::memcpy(page.data(), file.contents().data() + offset, bytes);
    std::memset(page.data() + bytes, 0, kPageSize - bytes);
    return frame;
}

}  // namespace

Result<void> AddressSpace::handle_fault(VirtAddr va, Access access) {
    LockGuard guard{lock_};
    TRY(resolve(va, access));
    // Also when the page was there already: another hart was faster, or this one remembers an older entry.
    arch::flush_tlb(CpuMask::of(arch::current_cpu()), page_down(va), kPageSize, asid_);
    return {};
}

Result<PhysAddr> AddressSpace::resolve(VirtAddr va, Access access) {
    const VirtAddr page = page_down(va);
    const Mapping* mapping = mappings_.find(page);
    if (mapping == nullptr || !permits(mapping->protection, access)) {
        return Error::BadAddress;
    }
    const PteSlot slot = page_table_.find_slot(page);
    if (!slot || !slot.load().is_resident()) {
        return make_resident(*mapping, page, access);
    }
    const Pte pte = slot.load();
    if (access == Access::Write && pte.is_shared()) {
        return take_private_copy(*mapping, page, slot);
    }
    if (!permits(pte.protection(), access)) {
        // A protect() that goes in steps has changed the mapping and not yet come to this page; it will flush
        // it.
        slot.store(pte.with_protection(mapping->protection));
        if (mapping->protection.execute) {
            fence_instructions();
        }
    }
    return pte.frame();
}

Result<PhysAddr> AddressSpace::make_resident(const Mapping& mapping, VirtAddr page, Access access) {
    const PteSlot slot = TRY(page_table_.make_slot(page));
    const std::uint64_t distance = page - mapping.start;
    const std::uint64_t from_file = mapping.file_bytes > distance ? mapping.file_bytes - distance : 0;
    bool shared = false;
    bool is_fenced = false;
    PhysAddr frame;
    if (from_file == 0) {
        frame = TRY(frames().allocate_zeroed_frame());
    } else {
        const std::uint64_t offset = mapping.file_offset + distance;
        const bool is_whole = from_file >= kPageSize || offset + from_file == mapping.file->contents().size();
        if (!is_whole) {
            frame = TRY(copy_file_part(*mapping.file, offset, from_file));
        } else {
            is_fenced = mapping.protection.execute;
            frame = TRY(mapping.file->frame_of(offset >> kPageShift, is_fenced));
            shared = true;
        }
    }
    if (mapping.protection.execute && !is_fenced) {
        fence_instructions();
    }
    slot.store(Pte::leaf(frame, mapping.protection, PageOwner::User, shared));
    resident_pages_.fetch_add(1, std::memory_order_relaxed);
    return access == Access::Write && shared ? take_private_copy(mapping, page, slot) : frame;
}

Result<PhysAddr> AddressSpace::take_private_copy(const Mapping& mapping, VirtAddr page, PteSlot slot) {
    const PhysAddr shared = slot.load().frame();
    if (frames().references(shared) == 1) {
        // The other side of a fork has its own copy, or is gone; new sharers come through this entry only.
        slot.store(Pte::leaf(shared, mapping.protection, PageOwner::User));
        return shared;
    }
    const PhysAddr copy = TRY(frames().allocate_frame());
    std::memcpy(frame_bytes(copy).data(), frame_bytes(shared).data(), kPageSize);
    slot.store(Pte::leaf(copy, mapping.protection, PageOwner::User));
    // No hart may go on reading the old frame while others see the new one.
    flush(page, page + kPageSize);
    frames().unref(shared);
    return copy;
}

Progress AddressSpace::drop_pages(VirtAddr start, VirtAddr end, Work& work) {
    FixedVector<PhysAddr, kPagesPerStep> pages;
    FixedVector<PhysAddr, kMaxTablesPerStep> tables;
    VirtAddr first = end;
    VirtAddr last = start;
    const VirtAddr next =
        page_table_.for_each_resident(start, end, work.entries, [&](VirtAddr page, PteSlot slot) {
            if (work.pages == 0) {
                return false;
            }
            --work.pages;
            first = std::min(first, page);
            last = page;
            CHECK(pages.try_push(slot.load().frame()));
            slot.store({});
            return true;
        });
    page_table_.unhook_empty_tables(start, next, [&](PhysAddr table) { CHECK(tables.try_push(table)); });
    if (!tables.empty()) {
        flush_everything();
    } else if (!pages.empty()) {
        flush(first, last + kPageSize);
    }
    for (const PhysAddr frame : pages) {
        frames().unref(frame);
    }
    for (const PhysAddr table : tables) {
        frames().unref(table);
    }
    resident_pages_.fetch_sub(pages.size(), std::memory_order_relaxed);
    return {next, next >= end};
}

Progress AddressSpace::reprotect_pages(VirtAddr start, VirtAddr end, Protection protection, Work& work) {
    VirtAddr first = end;
    VirtAddr last = start;
    const VirtAddr next =
        page_table_.for_each_resident(start, end, work.entries, [&](VirtAddr page, PteSlot slot) {
            first = std::min(first, page);
            last = page;
            slot.store(slot.load().with_protection(protection));
            return true;
        });
    if (first < end) {
        if (protection.execute) {
            fence_instructions();
        }
        // Even where no entry changed here: resolve() may have changed it since the mapping did.
        flush(first, last + kPageSize);
    }
    return {next, next >= end};
}

void AddressSpace::flush(VirtAddr start, VirtAddr end) {
    // Pairs with the fence in activate(): our entries are stored before we ask who may have read older ones.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (is_torn_down_ && running_cpus_.load().empty()) {
        // Nobody runs here any more, and the ASID's next owner drops what is left of it.
        return;
    }
    const CpuMask cpus = active_cpus_.load();
    if (!cpus.empty()) {
        arch::flush_tlb(cpus, start, end - start, asid_);
    }
}

void AddressSpace::flush_everything() {
    flush(VirtAddr{0}, VirtAddr{kFlushEverything});
}

void AddressSpace::check_invariants() const {
    LockGuard guard{lock_};
    const VmaSet* mappings = &mappings_;
    mappings->check_invariants();
    std::uint64_t resident = 0;
    VirtAddr at = kUserBase;
    while (at < kUserTop) {
        std::uint32_t entries = 512;
        at = page_table_.for_each_resident(at, kUserTop, entries, [&](VirtAddr page, PteSlot slot) {
            const Pte pte = slot.load();
            const Mapping* mapping = mappings->find(page);
            CHECK(mapping != nullptr);
            CHECK(pte.is_user());
            CHECK(pte.protection().is_allowed());
            CHECK(!pte.is_shared() || !pte.protection().write);
            CHECK(frames().references(pte.frame()) >= 1U);
            ++resident;
            return true;
        });
    }
    CHECK_EQ(resident, resident_pages());
}

}  // namespace kernel::mm
