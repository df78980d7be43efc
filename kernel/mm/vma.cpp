// SPDX-License-Identifier: MIT
#include "mm/vma.hpp"

#include <algorithm>
#include <utility>

#include "lib/check.hpp"
#include "mm/slab.hpp"

namespace kernel::mm {

namespace {

constinit ObjectPool<VmaSet::Vma> vma_pool;

// Whether it is the first mapping that ends above va: va lies in it, or in the gap below.
bool ends_first_above(const VmaSet::Vma& vma, VirtAddr va) {
    return va < vma.mapping.end && va.value() >= vma.mapping.start.value() - vma.gap;
}

std::uint64_t gap_below(const VmaSet::Vma& vma) {
    return vma.mapping.start - (vma.previous == nullptr ? VirtAddr{0} : vma.previous->mapping.end);
}

}  // namespace

Mapping Mapping::slice(VirtAddr from, VirtAddr to) const {
    DCHECK(start <= from && from < to && to <= end);
    const std::uint64_t skipped = from - start;
    Mapping part{from, to, protection};
    part.is_shared = is_shared;
    part.may_write = may_write;
    part.touched = std::clamp(touched, from, to);
    if (file != nullptr && skipped < file_bytes) {
        part.file = file;
        part.file_offset = file_offset + skipped;
        part.file_bytes = std::min(file_bytes - skipped, to - from);
    }
    return part;
}

bool Mapping::is_continued_by(const Mapping& next) const {
    if (end != next.start || protection != next.protection || file != next.file ||
        is_shared != next.is_shared || may_write != next.may_write) {
        return false;
    }
    return file == nullptr || (file_bytes == bytes() && file_offset + bytes() == next.file_offset);
}

VirtAddr Mapping::whole_pages_end() const {
    const bool ends_with_file = file != nullptr && file_offset + file_bytes == file->size();
    return start + (ends_with_file ? page_up(file_bytes) : page_down(file_bytes));
}

bool VmaSet::Order::update(Vma& vma, const Vma* left, const Vma* right) {
    std::uint64_t widest = vma.gap;
    widest = left != nullptr ? std::max(widest, left->widest_gap) : widest;
    widest = right != nullptr ? std::max(widest, right->widest_gap) : widest;
    const bool changed = widest != vma.widest_gap;
    vma.widest_gap = widest;
    return changed;
}

VmaSet::~VmaSet() {
    while (first_ != nullptr) {
        drop_from_first(first_->mapping.end);
    }
    if (spare_ != nullptr) {
        vma_pool.destroy(spare_);
    }
}

VmaSet::Surroundings VmaSet::surroundings(VirtAddr start, VirtAddr end) const {
    const Vma* vma = find_ending_above(start);
    const Vma* below = vma == nullptr ? last_ : vma->previous;
    if (vma != nullptr && vma->mapping.start < start) {
        below = vma;
    }
    const VirtAddr low = below == nullptr ? VirtAddr{0} : std::min(below->mapping.end, start);
    while (vma != nullptr && vma->mapping.end <= end) {
        vma = vma->next;
    }
    return {low, vma == nullptr ? VirtAddr{~std::uint64_t{0}} : std::max(vma->mapping.start, end)};
}

bool VmaSet::is_free(VirtAddr start, VirtAddr end) const {
    const Vma* vma = find_ending_above(start);
    return vma == nullptr || vma->mapping.start >= end;
}

Result<VirtAddr> VmaSet::find_gap(std::uint64_t bytes, VirtAddr bottom, VirtAddr top) const {
    // The gap that `top` cuts, then those below it. Above the place for mappings there is little but a stack.
    Vma* const above = last_ != nullptr && ends_first_above(*last_, top) ? last_ : find_ending_above(top);
    VirtAddr gap_end = top;
    if (above != nullptr && above->mapping.start < top) {
        gap_end = above->mapping.start;
    }
    const Vma* below = above == nullptr ? last_ : above->previous;
    const VirtAddr below_end = below == nullptr ? VirtAddr{0} : below->mapping.end;
    if (gap_end - below_end < bytes) {
        const Vma* wide = find_wide_gap(below, bytes);
        if (wide == nullptr) {
            return Error::NoMemory;
        }
        gap_end = wide->mapping.start;
        recent_ = wide->previous == nullptr ? first_ : wide->previous->next;
    } else if (above != nullptr) {
        recent_ = above;  // insert() looks here first
    }
    if (gap_end < bottom || gap_end - bottom < bytes) {
        return Error::NoMemory;
    }
    return VirtAddr{gap_end.value() - bytes};
}

const VmaSet::Vma* VmaSet::find_wide_gap(const Vma* from, std::uint64_t bytes) {
    // Up to the first item with such a gap, or with one in its left subtree ...
    const Vma* at = from;
    const auto has_left = [bytes](const Vma& vma) {
        const Vma* left = Tree::left(vma);
        return left != nullptr && left->widest_gap >= bytes;
    };
    while (at != nullptr && at->gap < bytes && !has_left(*at)) {
        const Vma* child = at;
        at = Tree::parent(*child);
        while (at != nullptr && Tree::left(*at) == child) {
            child = at;
            at = Tree::parent(*at);
        }
    }
    if (at == nullptr || at->gap >= bytes) {
        return at;
    }
    // ... and down to the highest one there.
    for (at = Tree::left(*at);;) {
        const Vma* right = Tree::right(*at);
        if (right != nullptr && right->widest_gap >= bytes) {
            at = right;
        } else if (at->gap >= bytes) {
            return at;
        } else {
            at = Tree::left(*at);
        }
    }
}

Result<void> VmaSet::insert(const Mapping& mapping) {
    DCHECK(is_free(mapping.start, mapping.end));
    Vma* const next = recent_ != nullptr && ends_first_above(*recent_, mapping.start)
                          ? recent_
                          : find_ending_above(mapping.start);
    Vma* const previous = next == nullptr ? last_ : next->previous;
    if (previous != nullptr && previous->mapping.is_continued_by(mapping)) {
        previous->mapping.file_bytes += mapping.file_bytes;
        previous->mapping.end = mapping.end;
        measure_gap(next);
        static_cast<void>(join_next(*previous));
    } else if (next != nullptr && mapping.is_continued_by(next->mapping)) {
        next->mapping.file_bytes += mapping.file_bytes;
        next->mapping.file_offset = mapping.file_offset;
        next->mapping.touched = mapping.touched < mapping.end ? mapping.touched : next->mapping.touched;
        set_start(*next, mapping.start);
    } else {
        link(*TRY(make_vma(mapping)), next);
    }
    mapped_bytes_ += mapping.bytes();
    return {};
}

Result<void> VmaSet::isolate(VirtAddr start, VirtAddr end) {
    TRY(cut_at(start));
    const Result<void> second = cut_at(end);
    if (!second) {
        join_around(start, start);
    }
    return second;
}

void VmaSet::remove(VirtAddr start, VirtAddr end) {
    Vma* vma = find_ending_above(start);
    if (vma != nullptr && vma->mapping.start < start) {
        CHECK(vma->mapping.end <= end);
        mapped_bytes_ -= vma->mapping.end - start;
        set_end(*vma, start);
        vma = vma->next;
    }
    while (vma != nullptr && vma->mapping.end <= end) {
        Vma* next = vma->next;
        mapped_bytes_ -= vma->mapping.bytes();
        unlink_and_free(*vma);
        vma = next;
    }
    if (vma != nullptr && vma->mapping.start < end) {
        mapped_bytes_ -= end - vma->mapping.start;
        set_mapping(*vma, vma->mapping.slice(end, vma->mapping.end));
        measure_gap(vma);
    }
}

Result<bool> VmaSet::replace(const Mapping& mapping, std::uint32_t max_mappings) {
    Vma* first = find_ending_above(mapping.start);
    if (first == nullptr || first->mapping.start >= mapping.end) {
        TRY(insert(mapping));
        return true;
    }
    // The first mapping becomes a placeholder that swallows the others, then the new mapping: no memory is
    // needed.
    for (std::uint32_t swallowed = 0;; ++swallowed) {
        Vma* next = first->next;
        const bool is_last = next == nullptr || next->mapping.start >= mapping.end;
        const VirtAddr end = is_last ? mapping.end : next->mapping.end;
        mapped_bytes_ -= first->mapping.bytes() + (is_last ? 0 : next->mapping.bytes());
        if (!is_last) {
            unlink_and_free(*next);
        }
        set_mapping(*first, is_last ? mapping : Mapping{mapping.start, end, kNoAccess});
        measure_gap(first);
        measure_gap(first->next);
        mapped_bytes_ += first->mapping.bytes();
        if (is_last) {
            join_around(mapping.start, mapping.end);
            return true;
        }
        if (swallowed == max_mappings) {
            return false;
        }
    }
}

Result<void> VmaSet::protect(VirtAddr start, VirtAddr end, Protection protection) {
    TRY(isolate(start, end));
    for (Vma* vma = find_ending_above(start); vma != nullptr && vma->mapping.start < end; vma = vma->next) {
        vma->mapping.protection = protection;
    }
    join_around(start, end);
    return {};
}

void VmaSet::check_invariants() const {
    std::uint32_t count = 0;
    std::uint64_t bytes = 0;
    VirtAddr previous_end{0};
    const Vma* previous = nullptr;
    for (const Vma* vma = tree_.first(); vma != nullptr; vma = Tree::next(*vma)) {
        const Mapping& mapping = vma->mapping;
        CHECK(mapping.start >= previous_end);
        CHECK(mapping.start < mapping.end);
        CHECK(is_page_aligned(mapping.start.value()) && is_page_aligned(mapping.end.value()));
        CHECK(mapping.protection.is_allowed());
        CHECK(mapping.file_bytes <= mapping.bytes());
        CHECK(mapping.touched >= mapping.start && mapping.touched <= mapping.end);
        CHECK((mapping.file != nullptr) == (mapping.file_bytes > 0));
        CHECK(vma->previous == previous);
        CHECK((previous == nullptr ? first_ : previous->next) == vma);
        CHECK_EQ(vma->gap, mapping.start - previous_end);
        CHECK(Tree::is_balanced_at(*vma));
        Vma measured;
        measured.gap = vma->gap;
        static_cast<void>(Order::update(measured, Tree::left(*vma), Tree::right(*vma)));
        CHECK_EQ(measured.widest_gap, vma->widest_gap);
        previous = vma;
        previous_end = mapping.end;
        bytes += mapping.bytes();
        ++count;
    }
    CHECK(last_ == previous);
    CHECK_EQ(count, tree_.size());
    CHECK_EQ(count, count_);
    CHECK_EQ(bytes, mapped_bytes_);
}

VmaSet::Vma* VmaSet::search(VirtAddr va) const {
    Vma* found = nullptr;
    for (Vma* at = tree_.root(); at != nullptr;) {
        if (at->mapping.end > va) {
            found = at;
            at = Tree::left(*at);
        } else {
            at = Tree::right(*at);
        }
    }
    recent_ = found != nullptr ? found : recent_;
    return found;
}

void VmaSet::drop_from_first(VirtAddr end) {
    Vma& vma = *first_;
    recent_ = nullptr;
    tree_.abandon();
    if (end < vma.mapping.end) {
        mapped_bytes_ -= end - vma.mapping.start;
        vma.mapping.start = end;
        return;
    }
    mapped_bytes_ -= vma.mapping.bytes();
    first_ = vma.next;
    (first_ == nullptr ? last_ : first_->previous) = nullptr;
    --count_;
    if (vma.mapping.file != nullptr) {
        vma.mapping.file->let_go();
    }
    vma_pool.destroy(&vma);
}

Result<VmaSet::Vma*> VmaSet::make_vma(const Mapping& mapping) {
    if (count() >= kMaxMappings) {
        return Error::NoMemory;
    }
    Vma* vma = std::exchange(spare_, nullptr);
    if (vma == nullptr) {
        vma = TRY(vma_pool.create());
    }
    set_mapping(*vma, mapping);
    return vma;
}

void VmaSet::set_mapping(Vma& vma, const Mapping& mapping) {
    FileObject* const before = vma.mapping.file;
    if (before != mapping.file) [[unlikely]] {
        if (mapping.file != nullptr) {
            mapping.file->keep();
        }
        if (before != nullptr) {
            before->let_go();
        }
    }
    // Member by member: a copy as a whole would be a call.
    Mapping& to = vma.mapping;
    to.start = mapping.start;
    to.end = mapping.end;
    to.protection = mapping.protection;
    to.file = mapping.file;
    to.file_offset = mapping.file_offset;
    to.file_bytes = mapping.file_bytes;
    to.is_shared = mapping.is_shared;
    to.may_write = mapping.may_write;
    to.touched = mapping.touched;
}

void VmaSet::link(Vma& vma, Vma* next) {
    vma.next = next;
    vma.previous = next == nullptr ? last_ : next->previous;
    (vma.previous == nullptr ? first_ : vma.previous->next) = &vma;
    (next == nullptr ? last_ : next->previous) = &vma;
    vma.gap = gap_below(vma);
    tree_.insert_between(vma, vma.previous, next);
    measure_gap(next);
    recent_ = &vma;  // what was mapped is touched next
    ++count_;
}

void VmaSet::unlink_and_free(Vma& vma) {
    Vma* const next = vma.next;
    (vma.previous == nullptr ? first_ : vma.previous->next) = next;
    (next == nullptr ? last_ : next->previous) = vma.previous;
    tree_.erase(vma);
    measure_gap(next);
    --count_;
    if (recent_ == &vma) {
        recent_ = nullptr;
    }
    if (vma.mapping.file != nullptr) {
        set_mapping(vma, {});
    }
    if (spare_ == nullptr) {
        spare_ = &vma;
    } else {
        vma_pool.destroy(&vma);
    }
}

void VmaSet::measure_gap(Vma* vma) {
    if (vma == nullptr) {
        return;
    }
    vma->gap = gap_below(*vma);
    Tree::refresh_changed(*vma);
}

void VmaSet::set_start(Vma& vma, VirtAddr start) {
    vma.mapping.start = start;
    measure_gap(&vma);
}

void VmaSet::set_end(Vma& vma, VirtAddr end) {
    set_mapping(vma, vma.mapping.slice(vma.mapping.start, end));
    measure_gap(vma.next);
}

Result<void> VmaSet::cut_at(VirtAddr va) {
    Vma* vma = find_ending_above(va);
    if (vma == nullptr || vma->mapping.start >= va) {
        return {};
    }
    Vma& right = *TRY(make_vma(vma->mapping.slice(va, vma->mapping.end)));
    set_mapping(*vma, vma->mapping.slice(vma->mapping.start, va));
    link(right, vma->next);
    return {};
}

bool VmaSet::join_next(Vma& vma) {
    Vma* const next = vma.next;
    if (next == nullptr || !vma.mapping.is_continued_by(next->mapping)) {
        return false;
    }
    const Mapping taken = next->mapping;
    vma.mapping.touched = vma.mapping.touched < vma.mapping.end ? vma.mapping.touched : taken.touched;
    // First longer, then alone: the order of the tree holds throughout.
    vma.mapping.end = taken.end;
    vma.mapping.file_bytes += taken.file_bytes;
    unlink_and_free(*next);
    return true;
}

void VmaSet::join_around(VirtAddr start, VirtAddr end) {
    // From the mapping that ends at `start`, if one does.
    Vma* vma = find_ending_above(VirtAddr{start.value() - 1});
    while (vma != nullptr && vma->mapping.end <= end) {
        if (!join_next(*vma)) {
            vma = vma->next;
        }
    }
}

}  // namespace kernel::mm
