// SPDX-License-Identifier: MIT
#include "mm/vma.hpp"

#include <algorithm>
#include <bit>

#include "lib/check.hpp"
#include "mm/slab.hpp"

namespace kernel::mm {

namespace {

constinit ObjectPool<VmaSet::Vma> vma_pool;

}  // namespace

Mapping Mapping::slice(VirtAddr from, VirtAddr to) const {
    DCHECK(start <= from && from < to && to <= end);
    const std::uint64_t skipped = from - start;
    Mapping part{from, to, protection};
    if (file != nullptr && skipped < file_bytes) {
        part.file = file;
        part.file_offset = file_offset + skipped;
        part.file_bytes = std::min(file_bytes - skipped, to - from);
    }
    return part;
}

bool Mapping::is_continued_by(const Mapping& next) const {
    if (end != next.start || protection != next.protection || file != next.file) {
        return false;
    }
    return file == nullptr || (file_bytes == bytes() && file_offset + bytes() == next.file_offset);
}

VmaSet::~VmaSet() {
    while (head_[0] != nullptr) {
        unlink_and_free(*head_[0]);
    }
}

const Mapping* VmaSet::find_at_or_above(VirtAddr va) const {
    const Vma* vma = find_ending_above(va);
    return vma == nullptr ? nullptr : &vma->mapping;
}

const Mapping* VmaSet::find(VirtAddr va) const {
    const Mapping* mapping = find_at_or_above(va);
    return mapping != nullptr && mapping->contains(va) ? mapping : nullptr;
}

bool VmaSet::is_free(VirtAddr start, VirtAddr end) const {
    const Mapping* mapping = find_at_or_above(start);
    return mapping == nullptr || mapping->start >= end;
}

Result<VirtAddr> VmaSet::find_gap(std::uint64_t bytes, VirtAddr bottom, VirtAddr top) const {
    VirtAddr gap_start = bottom;
    VirtAddr best{0};
    bool found = false;
    const auto consider = [&](VirtAddr gap_end) {
        if (gap_end > gap_start && gap_end - gap_start >= bytes) {
            best = VirtAddr{gap_end.value() - bytes};
            found = true;
        }
    };
    for (const Vma* vma = find_ending_above(bottom); vma != nullptr && vma->mapping.start < top;
         vma = vma->next[0]) {
        consider(vma->mapping.start);
        gap_start = vma->mapping.end;
    }
    consider(top);
    return found ? Result<VirtAddr>{best} : Error::NoMemory;
}

Result<void> VmaSet::insert(const Mapping& mapping) {
    DCHECK(is_free(mapping.start, mapping.end));
    Vma& vma = *TRY(make_vma(mapping));
    mapped_bytes_ += mapping.bytes();
    link(vma);
    join_around(mapping.start, mapping.end);
    return {};
}

Result<void> VmaSet::isolate(VirtAddr start, VirtAddr end) {
    TRY(split_at(start));
    const Result<void> second = split_at(end);
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
        Vma* next = vma->next[0];
        vma->mapping = vma->mapping.slice(vma->mapping.start, start);
        vma = next;
    }
    while (vma != nullptr && vma->mapping.end <= end) {
        Vma* next = vma->next[0];
        mapped_bytes_ -= vma->mapping.bytes();
        unlink_and_free(*vma);
        vma = next;
    }
    if (vma != nullptr && vma->mapping.start < end) {
        mapped_bytes_ -= end - vma->mapping.start;
        vma->mapping = vma->mapping.slice(end, vma->mapping.end);
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
        Vma* next = first->next[0];
        const bool is_last = next == nullptr || next->mapping.start >= mapping.end;
        const VirtAddr end = is_last ? mapping.end : next->mapping.end;
        mapped_bytes_ -= first->mapping.bytes() + (is_last ? 0 : next->mapping.bytes());
        if (!is_last) {
            unlink_and_free(*next);
        }
        first->mapping = is_last ? mapping : Mapping{mapping.start, end, kNoAccess};
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
    for (Vma* vma = find_ending_above(start); vma != nullptr && vma->mapping.start < end;
         vma = vma->next[0]) {
        vma->mapping.protection = protection;
    }
    join_around(start, end);
    return {};
}

void VmaSet::check_invariants() const {
    std::uint32_t count = 0;
    std::uint64_t bytes = 0;
    VirtAddr previous_end{0};
    for (const Vma* vma = head_[0]; vma != nullptr; vma = vma->next[0]) {
        const Mapping& mapping = vma->mapping;
        CHECK(mapping.start >= previous_end);
        CHECK(mapping.start < mapping.end);
        CHECK(is_page_aligned(mapping.start.value()) && is_page_aligned(mapping.end.value()));
        CHECK(mapping.protection.is_allowed());
        CHECK(mapping.file_bytes <= mapping.bytes());
        CHECK((mapping.file != nullptr) == (mapping.file_bytes > 0));
        previous_end = mapping.end;
        bytes += mapping.bytes();
        ++count;
    }
    CHECK_EQ(count, count_);
    CHECK_EQ(bytes, mapped_bytes_);
    for (std::uint32_t level = 1; level < kLevels; ++level) {
        const Vma* below = head_[0];
        for (const Vma* vma = head_[level]; vma != nullptr; vma = vma->next[level]) {
            CHECK(vma->height > level);
            while (below != nullptr && below != vma) {
                below = below->next[0];
            }
            CHECK(below == vma);
        }
    }
}

VmaSet::Vma* VmaSet::find_path(VirtAddr va, Path& path) const {
    Vma* node = nullptr;
    for (std::uint32_t level = kLevels; level-- > 0;) {
        for (Vma* next = next_of(node, level); next != nullptr && next->mapping.end <= va;
             next = next_of(node, level)) {
            node = next;
        }
        path[level] = node;
    }
    return next_of(node, 0);
}

VmaSet::Vma* VmaSet::find_ending_above(VirtAddr va) const {
    Path path{};
    return find_path(va, path);
}

VmaSet::Vma* VmaSet::next_of(Vma* node, std::uint32_t level) const {
    return node == nullptr ? head_[level] : node->next[level];
}

void VmaSet::set_next(Vma* node, std::uint32_t level, Vma* next) {
    (node == nullptr ? head_[level] : node->next[level]) = next;
}

std::uint32_t VmaSet::random_height() {
    // xorshift32 (Marsaglia 2003); each level holds a quarter of the one below: 4^6 covers kMaxMappings.
    height_seed_ ^= height_seed_ << 13;
    height_seed_ ^= height_seed_ >> 17;
    height_seed_ ^= height_seed_ << 5;
    return std::min(kLevels, 1 + static_cast<std::uint32_t>(std::countr_zero(height_seed_)) / 2);
}

Result<VmaSet::Vma*> VmaSet::make_vma(const Mapping& mapping) {
    if (count_ >= kMaxMappings) {
        return Error::NoMemory;
    }
    Vma* vma = TRY(vma_pool.create());
    vma->mapping = mapping;
    vma->height = random_height();
    return vma;
}

void VmaSet::link(Vma& vma) {
    Path path{};
    static_cast<void>(find_path(vma.mapping.start, path));
    for (std::uint32_t level = 0; level < vma.height; ++level) {
        vma.next[level] = next_of(path[level], level);
        set_next(path[level], level, &vma);
    }
    ++count_;
}

void VmaSet::unlink_and_free(Vma& vma) {
    Path path{};
    CHECK(find_path(vma.mapping.start, path) == &vma);
    for (std::uint32_t level = 0; level < vma.height; ++level) {
        set_next(path[level], level, vma.next[level]);
    }
    --count_;
    vma_pool.destroy(&vma);
}

Result<void> VmaSet::split_at(VirtAddr va) {
    Vma* vma = find_ending_above(va);
    if (vma == nullptr || vma->mapping.start >= va) {
        return {};
    }
    const Mapping whole = vma->mapping;
    Vma& right = *TRY(make_vma(whole.slice(va, whole.end)));
    vma->mapping = whole.slice(whole.start, va);
    link(right);
    return {};
}

void VmaSet::join_around(VirtAddr start, VirtAddr end) {
    // From the mapping that ends at `start`, if one does.
    Vma* vma = find_ending_above(VirtAddr{start.value() - 1});
    while (vma != nullptr && vma->mapping.end <= end) {
        Vma* next = vma->next[0];
        if (next != nullptr && vma->mapping.is_continued_by(next->mapping)) {
            const Mapping taken = next->mapping;
            unlink_and_free(*next);
            vma->mapping.end = taken.end;
            vma->mapping.file_bytes += taken.file_bytes;
        } else {
            vma = next;
        }
    }
}

}  // namespace kernel::mm
