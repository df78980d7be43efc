// SPDX-License-Identifier: MIT
// AddressSpace: copying one for fork. Pages are shared until one side writes (resolve()).
#include <algorithm>

#include "lib/check.hpp"
#include "mm/address_space.hpp"
#include "mm/frames.hpp"
#include "mm/instruction_fence.hpp"

namespace kernel::mm {

namespace {

// In one step, should they have few pages: a mapping costs some 500 instructions on both sides.
constexpr std::uint32_t kMappingsPerCopy = 8;

}  // namespace

void AddressSpace::share_batch(VirtAddr from, Work& work, Batch& batch) {
    LockGuard guard{lock_};
    batch.page_count = 0;
    batch.mapping = {};
    batch.break_base = break_base_;
    batch.now = break_;
    const Mapping* mapping = mappings_.find_at_or_above(from);
    if (mapping == nullptr) {
        return;
    }
    const VirtAddr start = std::max(from, mapping->start);
    batch.file = FileRef{mapping->file};
    if (mapping->is_shared) {
        // The child finds the pages in the file.
        batch.mapping = mapping->slice(start, mapping->end);
        batch.next = mapping->end;
        return;
    }
    VirtAddr first = mapping->end;
    VirtAddr last = start;
    // Below what was ever touched there is nothing to look at.
    const VirtAddr touched = std::clamp(mapping->touched, start, mapping->end);
    const VirtAddr next =
        page_table_.for_each_resident(touched, mapping->end, work.entries, [&](VirtAddr page, PteSlot slot) {
            const Pte pte = slot.load();
            if (work.pages == 0) {
                return false;
            }
            --work.pages;
            batch.addresses[batch.page_count] = page.value();
            batch.entries[batch.page_count++] = pte.bits();
            if (!pte.is_lasting()) {
                frames().ref(pte.frame());
            }
            if (pte.lets_user(Access::Write)) {
                first = std::min(first, page);
                last = page;
            }
            if (const Pte shared = pte.as_shared(); shared != pte) {
                slot.store(shared);
            }
            return true;
        });
    // No hart goes on writing to a page the other side reads.
    if (first < mapping->end) {
        flush(first, last + kPageSize);
    }
    batch.mapping = mapping->slice(start, next);
    batch.next = next;
}

Result<void> AddressSpace::take_batch(const Batch& batch) {
    LockGuard guard{lock_};
    break_base_ = batch.break_base;
    break_ = batch.now;
    if (batch.mapping.bytes() == 0) {
        return {};
    }
    Result<void> taken = mappings_.insert(batch.mapping);
    if (batch.mapping.is_shared) {
        has_shared_.store(true, std::memory_order_relaxed);
    }
    std::uint64_t resident = 0;
    const Pte model = Pte::leaf(PhysAddr{0}, batch.mapping.protection, PageOwner::User, true);
    for (std::uint32_t i = 0; i < batch.page_count; ++i) {
        const VirtAddr page{batch.addresses[i]};
        const Pte pte = Pte::from_bits(batch.entries[i]);
        PteSlot slot = page_table_.find_slot(page);
        if (!slot && taken.ok()) {
            const Result<PteSlot> made = page_table_.make_slot(page);
            taken = made.ok() ? Result<void>{} : made.error();
            slot = made.value_or({});
        }
        if (!taken.ok()) {
            if (!pte.is_lasting()) {
                frames().unref(pte.frame());
            }
            continue;
        }
        // As the mapping says: a protect() that goes in steps may not have come to the page yet.
        if (batch.mapping.protection.execute && !pte.protection().execute) {
            fence_instructions();
        }
        slot.store(model.for_frame_of(pte));
        ++resident;
    }
    add_resident(resident);
    return taken;
}

Result<Progress> AddressSpace::copy_step(AddressSpace& child, VirtAddr from) {
    Work work;
    Batch batch;
    for (std::uint32_t mappings = 0; mappings < kMappingsPerCopy && work.pages > 0 && work.entries > 0;
         ++mappings) {
        share_batch(from, work, batch);
        TRY(child.take_batch(batch));
        if (batch.mapping.bytes() == 0) {
            return Progress{kUserTop};
        }
        from = batch.next;
    }
    return Progress{from, false};
}

}  // namespace kernel::mm
