// SPDX-License-Identifier: MIT
// The mappings of an address space: page-aligned ranges that do not overlap, in ascending order. A balanced
// tree whose nodes know the widest gap below them, so that a place for a new mapping is found in as many
// steps as a mapping; and a list, for neighbours. Neighbours that mean the same are kept as one. The mapping
// found last is looked at first: faults come in clusters.
//
// Concurrency: none of its own; guarded by the AddressSpace's lock.
#pragma once

#include <cstdint>

#include "lib/avl_tree.hpp"
#include "lib/result.hpp"
#include "mm/file_object.hpp"
#include "mm/layout.hpp"
#include "mm/protection.hpp"

namespace kernel::mm {

// A mapping without its place in the set: what a piece of address space means.
struct Mapping {
    VirtAddr start;
    VirtAddr end;
    Protection protection;
    FileObject* file{nullptr};     // null: anonymous, all zero at first
    std::uint64_t file_offset{0};  // of start in the file; page aligned
    std::uint64_t file_bytes{0};   // from start; what follows is zero
    bool is_shared{false};         // stores go to the file
    bool may_write{true};          // may be made writable; false for shared ones of a file opened to be read
    // No page below it is resident, as far as is known: what discards memory again and again that nobody
    // touched, as C libraries do with the stack of a thread that ends, need not look. AddressSpace lowers it
    // with a first touch.
    mutable VirtAddr touched{start};

    [[nodiscard]] constexpr std::uint64_t bytes() const { return end - start; }
    [[nodiscard]] constexpr bool contains(VirtAddr va) const { return va >= start && va < end; }
    // The same mapping cut down to [from, to). Pre: start <= from < to <= end.
    [[nodiscard]] Mapping slice(VirtAddr from, VirtAddr to) const;
    // True when `next` begins where this ends and continues it.
    [[nodiscard]] bool is_continued_by(const Mapping& next) const;
    // Where the whole pages of the file end: what follows is zero, or filled by the file in part. The last
    // page of a constant file counts as whole: the rest of it is zero.
    [[nodiscard]] VirtAddr whole_pages_end() const;
};

class VmaSet {
  public:
    // Per address space, as Linux' vm.max_map_count. A thread of a C library takes two.
    static constexpr std::uint32_t kMaxMappings = 65530;

    // Keeps the file of its mapping.
    struct Vma {
        Mapping mapping;
        AvlNode<Vma> node;
        Vma* previous{nullptr};
        Vma* next{nullptr};
        std::uint64_t gap{0};         // bytes between the previous mapping's end, or 0, and this one's start
        std::uint64_t widest_gap{0};  // of the subtree
    };

    VmaSet() = default;
    VmaSet(const VmaSet&) = delete;
    VmaSet& operator=(const VmaSet&) = delete;
    ~VmaSet();

    // The mapping that contains va, or the first one above; null when there is none.
    [[nodiscard]] const Mapping* find_at_or_above(VirtAddr va) const {
        const Vma* vma = find_ending_above(va);
        return vma == nullptr ? nullptr : &vma->mapping;
    }
    // The mapping that contains va, or null.
    [[nodiscard]] const Mapping* find(VirtAddr va) const {
        if (recent_ != nullptr && recent_->mapping.contains(va)) [[likely]] {
            return &recent_->mapping;
        }
        const Mapping* mapping = find_at_or_above(va);
        return mapping != nullptr && mapping->contains(va) ? mapping : nullptr;
    }
    // What is free around [start, end): from the end of the mapping below `start`, or 0, to the start of the
    // one at or above `end`, or the largest address. What is mapped in between counts as free.
    struct Surroundings {
        VirtAddr start;
        VirtAddr end;
    };
    [[nodiscard]] Surroundings surroundings(VirtAddr start, VirtAddr end) const;
    // True when nothing is mapped in [start, end).
    [[nodiscard]] bool is_free(VirtAddr start, VirtAddr end) const;
    // The highest free range of `bytes` that ends at or below `top` and begins at or above `bottom`.
    // NoMemory.
    [[nodiscard]] Result<VirtAddr> find_gap(std::uint64_t bytes, VirtAddr bottom, VirtAddr top) const;

    // Adds a mapping, joining neighbours it continues. NoMemory, also at kMaxMappings. Pre: its range is
    // free.
    [[nodiscard]] Result<void> insert(const Mapping& mapping);
    // Cuts mappings at start and at end, so that none reaches over either. NoMemory: nothing has changed in
    // meaning.
    [[nodiscard]] Result<void> isolate(VirtAddr start, VirtAddr end);
    // Cuts a mapping that reaches over va in two. NoMemory: nothing has changed.
    [[nodiscard]] Result<void> cut_at(VirtAddr va);
    // Removes what is mapped in [start, end). Pre: no mapping reaches over both start and end.
    void remove(VirtAddr start, VirtAddr end);
    // Puts `mapping` in the place of whatever its range holds, at most `max_mappings` of them in one call;
    // false = not done, call again: until then the range stays occupied. NoMemory: nothing has changed. Pre:
    // the range is isolated.
    [[nodiscard]] Result<bool> replace(const Mapping& mapping, std::uint32_t max_mappings);
    // Gives the mapped parts of [start, end) a new protection. NoMemory: nothing has changed in meaning.
    [[nodiscard]] Result<void> protect(VirtAddr start, VirtAddr end, Protection protection);

    // The lowest mapping, or null.
    [[nodiscard]] const Mapping* first() const { return first_ == nullptr ? nullptr : &first_->mapping; }
    // The one above it, or null. Pre: there is a lowest.
    [[nodiscard]] const Mapping* second() const {
        return first_->next == nullptr ? nullptr : &first_->next->mapping;
    }
    // Takes what lies below `end` off the lowest mapping, or all of it. For a set that is taken apart:
    // nothing is found in it from then on, and nothing may be added; only the lowest mappings and the count
    // are right.
    void drop_from_first(VirtAddr end);

    [[nodiscard]] std::uint32_t count() const { return count_; }
    [[nodiscard]] std::uint64_t mapped_bytes() const { return mapped_bytes_; }
    // Stops the machine when the order or the counts are wrong. For tests.
    void check_invariants() const;

  private:
    struct Order {
        static bool before(const Vma& a, const Vma& b) { return a.mapping.start < b.mapping.start; }
        static bool update(Vma& vma, const Vma* left, const Vma* right);
    };
    using Tree = AvlTree<Vma, &Vma::node, Order>;

    // The first mapping that ends above va.
    [[nodiscard]] Vma* find_ending_above(VirtAddr va) const {
        if (recent_ != nullptr && recent_->mapping.contains(va)) {
            return recent_;
        }
        return search(va);
    }
    [[nodiscard]] Vma* search(VirtAddr va) const;
    // The highest mapping of those before `from`, itself included, with a gap of `bytes` below it.
    [[nodiscard]] static const Vma* find_wide_gap(const Vma* from, std::uint64_t bytes);
    [[nodiscard]] Result<Vma*> make_vma(const Mapping& mapping);
    // Gives it another meaning, and the file that is in it a reference.
    static void set_mapping(Vma& vma, const Mapping& mapping);
    // Puts it before `next`; null: at the end.
    void link(Vma& vma, Vma* next);
    void unlink_and_free(Vma& vma);
    // The gap below `vma` (null: nothing) has changed.
    void measure_gap(Vma* vma);
    void set_start(Vma& vma, VirtAddr start);
    // Also the part of the mapping that comes from a file, if it is cut.
    void set_end(Vma& vma, VirtAddr end);
    // Makes one of a mapping and the next if that continues it.
    [[nodiscard]] bool join_next(Vma& vma);
    // Joins what continues one another from the mapping before `start` to the one at `end`.
    void join_around(VirtAddr start, VirtAddr end);

    Tree tree_;
    Vma* first_{nullptr};
    Vma* last_{nullptr};
    std::uint32_t count_{0};
    mutable Vma* recent_{nullptr};
    Vma* spare_{nullptr};  // the last one freed: programs map and unmap in turns
    std::uint64_t mapped_bytes_{0};
};

}  // namespace kernel::mm
