// SPDX-License-Identifier: MIT
// Life of an address space, its mappings and its break. Residency (faults, dropping pages, TLBs):
// residency.cpp.
#include "mm/address_space.hpp"

#include <algorithm>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "mm/asid.hpp"
#include "mm/frames.hpp"
#include "mm/instruction_fence.hpp"
#include "mm/slab.hpp"

namespace kernel::mm {

namespace {

constinit ObjectPool<AddressSpace> address_space_pool;

// Mappings touched in one step of a call that goes over many.
constexpr std::uint32_t kMappingsPerStep = 16;

// The end of the whole pages a call is about. `outside` is what a range that leaves user space means to the
// call.
[[gnu::always_inline]] inline Result<VirtAddr> checked_end(VirtAddr start, std::uint64_t bytes,
                                                           Error outside) {
    if (!is_page_aligned(start.value())) {
        return Error::InvalidArgument;
    }
    if (bytes == 0) {
        return start;
    }
    if (bytes > kUserTop.value() || !is_user_range(start, page_up(bytes))) {
        return outside;
    }
    return start + page_up(bytes);
}

}  // namespace

Result<AddressSpace*> AddressSpace::create(PhysAddr kernel_root) {
    const PhysAddr root = TRY(PageTable::create_user(kernel_root)).root();
    const std::uint16_t asid = take_asid();
    const Result<AddressSpace*> space = address_space_pool.create(root, kernel_root, asid);
    if (!space) {
        return_asid(asid);
        PageTable{root}.destroy_user();
    }
    return space;
}

void AddressSpace::destroy(AddressSpace* space) {
    CHECK(space->running_cpus_.load().empty());
    CHECK_EQ(space->resident_pages(), 0U);
    return_asid(space->asid_);
    space->page_table_.destroy_user();
    address_space_pool.destroy(space);
}

bool AddressSpace::release() {
    // Acquire and release: the last holder sees everything the others did.
    const std::uint32_t before = holders_.fetch_sub(1, std::memory_order_acq_rel);
    CHECK(before > 0);
    return before == 1;
}

void AddressSpace::activate(CpuId cpu) {
    note_user_hart(cpu);
    running_cpus_.add(cpu);
    if (!active_cpus_.load().contains(cpu)) {
        active_cpus_.add(cpu);
        // Pairs with the fence in flush(): adding ourselves comes before any translation we fetch from here
        // on.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (asid_ != kSharedAsid) {
            arch::flush_tlb(CpuMask::of(cpu), VirtAddr{0}, kFlushEverything, asid_);
        }
    }
    arch::switch_address_space(root(), asid_);
}

void AddressSpace::deactivate(CpuId cpu) {
    // First leave, then say so: when the last hart has said so, the root is freed, and a root carries the
    // kernel's own half.
    arch::switch_address_space(kernel_root_, kSharedAsid);
    if (asid_ == kSharedAsid) {
        active_cpus_.remove(cpu);
    }
    // Last: from here on the space may be gone.
    running_cpus_.remove(cpu);
}

Result<MapResult> AddressSpace::map_anonymous(const MapRequest& request) {
    return map(request, {});
}

Result<MapResult> AddressSpace::map_file(const MapRequest& request, const FileSlice& slice) {
    CHECK(slice.file != nullptr);
    if (!is_page_aligned(slice.offset)) {
        return Error::InvalidArgument;
    }
    if (request.bytes == 0 || request.bytes > kUserTop - kUserBase) {
        return Error::InvalidArgument;
    }
    FileSlice cut = slice;
    cut.bytes = std::min(slice.bytes, page_up(request.bytes));
    if (!slice.file->is_memory()) {
        // It never grows: what lies beyond is plain zero memory.
        const std::uint64_t file_size = slice.file->size();
        cut.bytes = std::min(cut.bytes, slice.offset < file_size ? file_size - slice.offset : 0);
    } else {
        slice.file->note_mapping();
    }
    // Nothing of the file in it: plain zero memory.
    return map(request, cut.bytes == 0 ? FileSlice{} : cut);
}

Result<MapResult> AddressSpace::map(const MapRequest& request, const FileSlice& slice) {
    if (request.bytes == 0 || request.bytes > kUserTop - kUserBase || !request.protection.is_allowed()) {
        return Error::InvalidArgument;
    }
    const std::uint64_t bytes = page_up(request.bytes);
    LockGuard guard{lock_};
    const VirtAddr start = TRY(place(request, bytes));
    const Mapping mapping{.start = start,
                          .end = start + bytes,
                          .protection = request.protection.normalized(),
                          .file = slice.file,
                          .file_offset = slice.offset,
                          .file_bytes = slice.bytes,
                          .is_shared = slice.is_shared,
                          .may_write = slice.may_write,
                          .touched = start + bytes};
    if (slice.is_shared) {
        has_shared_.store(true, std::memory_order_relaxed);
    }
    if (request.placement != Placement::Fixed) {
        TRY(mappings_.insert(mapping));
        return MapResult{start};
    }
    TRY(mappings_.isolate(mapping.start, mapping.end));
    // Until all pages are gone the old mappings stay, so that nobody else is placed here between two steps.
    Work work{.entries = kEntriesFromTheStart};
    if (!drop_pages(mapping.start, mapping.end, work, Tables::GoInside).done) {
        return MapResult{start, false};
    }
    return MapResult{start, TRY(mappings_.replace(mapping, kMappingsPerStep))};
}

Result<VirtAddr> AddressSpace::find_free(std::uint64_t bytes) const {
    if (bytes == 0 || bytes > kUserTop - kUserBase) {
        return Error::NoMemory;
    }
    LockGuard guard{lock_};
    return mappings_.find_gap(page_up(bytes), kMmapBottom, kMmapTop);
}

Result<VirtAddr> AddressSpace::place(const MapRequest& request, std::uint64_t bytes) const {
    if (request.placement == Placement::Anywhere) {
        const VirtAddr hint = page_down(request.address);
        if (hint.value() != 0 && is_user_range(hint, bytes) && mappings_.is_free(hint, hint + bytes)) {
            return hint;
        }
        return mappings_.find_gap(bytes, kMmapBottom, kMmapTop);
    }
    if (!is_page_aligned(request.address.value()) || !is_user_range(request.address, bytes)) {
        return Error::InvalidArgument;
    }
    if (request.placement == Placement::FixedNoReplace &&
        !mappings_.is_free(request.address, request.address + bytes)) {
        return Error::Exists;
    }
    return request.address;
}

Result<Progress> AddressSpace::unmap(VirtAddr start, std::uint64_t bytes) {
    if (bytes == 0) {
        return Error::InvalidArgument;
    }
    const VirtAddr end = TRY(checked_end(start, bytes, Error::InvalidArgument));
    LockGuard guard{lock_};
    VirtAddr at = start;
    Work work;
    for (std::uint32_t pieces = 0; pieces < kMappingsPerStep; ++pieces) {
        const Mapping* mapping = mappings_.find_at_or_above(at);
        if (mapping == nullptr || mapping->start >= end) {
            return Progress{end};
        }
        const VirtAddr from = std::max(at, mapping->start);
        const VirtAddr to = std::min(end, mapping->end);
        // What is dropped is then the lower end of a mapping, however far we get.
        if (from != mapping->start) {
            TRY(mappings_.cut_at(from));
        }
        const Progress dropped = drop_pages(from, to, work, Tables::GoAround);
        if (dropped.next > from) {
            mappings_.remove(from, dropped.next);
        }
        at = dropped.next;
        if (!dropped.done) {
            break;
        }
    }
    return Progress{at, at >= end};
}

Result<Progress> AddressSpace::protect(VirtAddr start, std::uint64_t bytes, Protection protection) {
    if (!protection.is_allowed()) {
        return Error::InvalidArgument;
    }
    const VirtAddr end = TRY(checked_end(start, bytes, Error::NoMemory));
    const Protection wanted = protection.normalized();
    LockGuard guard{lock_};
    VirtAddr at = start;
    Work work;
    for (std::uint32_t pieces = 0; at < end && pieces < kMappingsPerStep; ++pieces) {
        const Mapping* mapping = mappings_.find(at);
        if (mapping == nullptr) {
            return Error::NoMemory;
        }
        const VirtAddr to = std::min(end, mapping->end);
        if (wanted.write && !mapping->may_write) {
            return Error::AccessDenied;
        }
        // New faults obey at once; pages that are resident follow, in steps if they are many.
        if (mapping->protection != wanted) {
            TRY(mappings_.protect(at, to, wanted));
        }
        const Progress changed = reprotect_pages(at, to, wanted, work);
        at = changed.next;
        if (!changed.done) {
            break;
        }
    }
    return Progress{at, at >= end};
}

Result<Progress> AddressSpace::discard(VirtAddr start, std::uint64_t bytes) {
    const VirtAddr end = TRY(checked_end(start, bytes, Error::NoMemory));
    LockGuard guard{lock_};
    VirtAddr at = start;
    Work work;
    for (std::uint32_t pieces = 0; at < end && pieces < kMappingsPerStep; ++pieces) {
        const Mapping* mapping = mappings_.find(at);
        if (mapping == nullptr) {
            return Error::NoMemory;
        }
        const VirtAddr to = std::min(end, mapping->end);
        const VirtAddr from = std::clamp(mapping->touched, at, to);
        const Progress dropped = from < to ? drop_pages(from, to, work, Tables::Stay) : Progress{to};
        if (at <= mapping->touched) {
            mapping->touched = std::max(mapping->touched, dropped.next);
        }
        at = dropped.next;
        if (!dropped.done) {
            break;
        }
    }
    return Progress{at, at >= end};
}

Progress AddressSpace::drop_beyond(const FileObject& file, std::uint64_t first_page, VirtAddr from) {
    LockGuard guard{lock_};
    Work work;
    for (std::uint32_t pieces = 0; pieces < kMappingsPerStep; ++pieces) {
        const Mapping* const mapping = is_torn_down_ ? nullptr : mappings_.find_at_or_above(from);
        if (mapping == nullptr) {
            return {kUserTop, true};
        }
        const std::uint64_t offset = first_page << kPageShift;
        const std::uint64_t kept = offset > mapping->file_offset ? offset - mapping->file_offset : 0;
        if (mapping->file != &file || kept >= mapping->file_bytes) {
            from = mapping->end;
            continue;
        }
        const VirtAddr start = std::max(from, mapping->start + kept);
        const VirtAddr end = mapping->start + page_up(mapping->file_bytes);
        from = start < end ? drop_pages(start, end, work, Tables::Stay).next : end;
        if (from < end) {
            break;
        }
        from = mapping->end;
    }
    return {from, false};
}

void AddressSpace::set_break_base(VirtAddr base) {
    LockGuard guard{lock_};
    break_base_ = VirtAddr{page_up(base.value())};
    break_ = break_base_;
}

BreakResult AddressSpace::set_break(VirtAddr wanted) {
    LockGuard guard{lock_};
    if (wanted < break_base_ || wanted > kMmapTop) {
        return {break_};
    }
    const VirtAddr mapped_end{page_up(break_.value())};
    const VirtAddr wanted_end{page_up(wanted.value())};
    if (wanted_end > mapped_end) {
        if (!mappings_.is_free(mapped_end, wanted_end) ||
            !mappings_.insert({mapped_end, wanted_end, kReadWrite}).ok()) {
            return {break_};
        }
    } else if (wanted_end < mapped_end) {
        // From the top down, so that the break says how far it has come and the same call goes on from there.
        const std::uint64_t bytes = std::min(mapped_end - wanted_end, kPagesPerStep * kPageSize);
        const VirtAddr low{mapped_end.value() - bytes};
        if (!mappings_.cut_at(low).ok()) {
            return {break_};
        }
        Work work;
        CHECK(drop_pages(low, mapped_end, work, Tables::GoAround).done);
        mappings_.remove(low, mapped_end);
        if (low > wanted_end) {
            break_ = low;
            return {break_, false};
        }
    }
    break_ = wanted;
    return {break_};
}

bool AddressSpace::teardown_step(std::uint32_t max_pages) {
    LockGuard guard{lock_};
    is_torn_down_ = true;
    Work work{.pages = std::min(max_pages, kPagesPerStep)};
    if (running_cpus_.load().empty()) {
        return take_apart(work);
    }
    for (std::uint32_t pieces = 0; pieces < kMappingsPerStep; ++pieces) {
        const Mapping* mapping = mappings_.first();
        if (mapping == nullptr) {
            break;
        }
        const VirtAddr start = mapping->start;
        const Progress dropped = drop_pages(start, mapping->end, work, Tables::GoAround);
        if (dropped.next > start) {
            mappings_.remove(start, dropped.next);
        }
        if (!dropped.done) {
            break;
        }
    }
    return false;
}

Result<AddressSpace::Listed> AddressSpace::mapping_at_or_above(VirtAddr va) const {
    LockGuard guard{lock_};
    const Mapping* mapping = mappings_.find_at_or_above(va);
    if (mapping == nullptr) {
        return Error::NoEntry;
    }
    return Listed{.mapping = *mapping, .file = FileRef{mapping->file}};
}

bool AddressSpace::is_beyond_file(VirtAddr va, Access access) const {
    LockGuard guard{lock_};
    const Mapping* mapping = mappings_.find(va);
    return mapping != nullptr && permits(mapping->protection, access);
}

Result<AddressSpace::SharedPlace> AddressSpace::shared_place(VirtAddr va) const {
    if (!has_shared_.load(std::memory_order_relaxed)) {
        return Error::NoEntry;
    }
    LockGuard guard{lock_};
    const Mapping* mapping = mappings_.find(va);
    if (mapping == nullptr || !mapping->is_shared) {
        return Error::NoEntry;
    }
    return SharedPlace{.file = mapping->file, .offset = mapping->file_offset + (va - mapping->start)};
}

std::uint64_t AddressSpace::mapped_bytes() const {
    LockGuard guard{lock_};
    return mappings_.mapped_bytes();
}

}  // namespace kernel::mm
