// SPDX-License-Identifier: MIT
// AddressSpace: copying one for fork. Pages are shared until one side writes (resolve()).
#include <algorithm>

#include "lib/check.hpp"
#include "mm/address_space.hpp"
#include "mm/frames.hpp"
#include "mm/instruction_fence.hpp"

namespace kernel::mm {

AddressSpace::Batch AddressSpace::share_batch(VirtAddr from) {
    LockGuard guard{lock_};
    Batch batch;
    batch.break_base = break_base_;
    batch.now = break_;
    const Mapping* mapping = mappings_.find_at_or_above(from);
    if (mapping == nullptr) {
        return batch;
    }
    const VirtAddr start = std::max(from, mapping->start);
    VirtAddr first = mapping->end;
    VirtAddr last = start;
    Work work;
    const VirtAddr next =
        page_table_.for_each_resident(start, mapping->end, work.entries, [&](VirtAddr page, PteSlot slot) {
            const Pte pte = slot.load();
            if (!batch.pages.try_push({page, pte})) {
                return false;
            }
            frames().ref(pte.frame());
            if (pte.protection().write) {
                first = std::min(first, page);
                last = page;
            }
            slot.store(pte.as_shared());
            return true;
        });
    // No hart goes on writing to a page the other side reads.
    if (first < mapping->end) {
        flush(first, last + kPageSize);
    }
    batch.mapping = mapping->slice(start, next);
    batch.next = next;
    return batch;
}

Result<void> AddressSpace::take_batch(const Batch& batch) {
    LockGuard guard{lock_};
    break_base_ = batch.break_base;
    break_ = batch.now;
    if (batch.mapping.bytes() == 0) {
        return {};
    }
    Result<void> taken = mappings_.insert(batch.mapping);
    for (const SharedPage& page : batch.pages) {
        const Result<PteSlot> slot =
            taken.ok() ? page_table_.make_slot(page.va) : Result<PteSlot>{taken.error()};
        if (!slot.ok()) {
            taken = slot.error();
            frames().unref(page.pte.frame());
            continue;
        }
        // As the mapping says: a protect() that goes in steps may not have come to the page yet.
        if (batch.mapping.protection.execute && !page.pte.protection().execute) {
            fence_instructions();
        }
        slot->store(Pte::leaf(page.pte.frame(), batch.mapping.protection, PageOwner::User, true));
        resident_pages_.fetch_add(1, std::memory_order_relaxed);
    }
    return taken;
}

Result<Progress> AddressSpace::copy_step(AddressSpace& child, VirtAddr from) {
    const Batch batch = share_batch(from);
    TRY(child.take_batch(batch));
    return batch.mapping.bytes() == 0 ? Progress{kUserTop} : Progress{batch.next, false};
}

}  // namespace kernel::mm
