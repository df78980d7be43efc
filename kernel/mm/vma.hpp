// SPDX-License-Identifier: MIT
// The mappings of an address space: page-aligned ranges that do not overlap, in ascending order. A skip list
// (Pugh, CACM 33(6), 1990): logarithmic search, and neighbours for free. Neighbours that mean the same are
// kept as one.
//
// Concurrency: none of its own; guarded by the AddressSpace's lock.
#pragma once

#include <array>
#include <cstdint>

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

    [[nodiscard]] constexpr std::uint64_t bytes() const { return end - start; }
    [[nodiscard]] constexpr bool contains(VirtAddr va) const { return va >= start && va < end; }
    // The same mapping cut down to [from, to). Pre: start <= from < to <= end.
    [[nodiscard]] Mapping slice(VirtAddr from, VirtAddr to) const;
    // True when `next` begins where this ends and continues it.
    [[nodiscard]] bool is_continued_by(const Mapping& next) const;
};

class VmaSet {
  public:
    static constexpr std::uint32_t kLevels = 6;
    // Per address space; bounds every walk over all of them. A thread of a C library takes two.
    static constexpr std::uint32_t kMaxMappings = 2048;

    struct Vma {
        Mapping mapping;
        std::uint32_t height{0};
        std::array<Vma*, kLevels> next{};
    };

    VmaSet() = default;
    VmaSet(const VmaSet&) = delete;
    VmaSet& operator=(const VmaSet&) = delete;
    ~VmaSet();

    // The mapping that contains va, or the first one above; null when there is none.
    [[nodiscard]] const Mapping* find_at_or_above(VirtAddr va) const;
    // The mapping that contains va, or null.
    [[nodiscard]] const Mapping* find(VirtAddr va) const;
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
    // Removes what is mapped in [start, end). Pre: no mapping reaches over both start and end.
    void remove(VirtAddr start, VirtAddr end);
    // Puts `mapping` in the place of whatever its range holds, at most `max_mappings` of them in one call;
    // false = not done, call again: until then the range stays occupied. NoMemory: nothing has changed. Pre:
    // the range is isolated.
    [[nodiscard]] Result<bool> replace(const Mapping& mapping, std::uint32_t max_mappings);
    // Gives the mapped parts of [start, end) a new protection. NoMemory: nothing has changed in meaning.
    [[nodiscard]] Result<void> protect(VirtAddr start, VirtAddr end, Protection protection);

    [[nodiscard]] std::uint32_t count() const { return count_; }
    [[nodiscard]] std::uint64_t mapped_bytes() const { return mapped_bytes_; }
    // Stops the machine when the order or the counts are wrong. For tests.
    void check_invariants() const;

  private:
    // For each level the last node before a position; null = the head.
    using Path = std::array<Vma*, kLevels>;

    // The first mapping that ends above va; `path` is what precedes it.
    [[nodiscard]] Vma* find_path(VirtAddr va, Path& path) const;
    [[nodiscard]] Vma* find_ending_above(VirtAddr va) const;
    [[nodiscard]] Vma* next_of(Vma* node, std::uint32_t level) const;
    void set_next(Vma* node, std::uint32_t level, Vma* next);
    [[nodiscard]] std::uint32_t random_height();
    [[nodiscard]] Result<Vma*> make_vma(const Mapping& mapping);
    void link(Vma& vma);
    void unlink_and_free(Vma& vma);
    [[nodiscard]] Result<void> split_at(VirtAddr va);
    // Joins what continues one another from the mapping before `start` to the one at `end`.
    void join_around(VirtAddr start, VirtAddr end);

    std::array<Vma*, kLevels> head_{};
    std::uint32_t count_{0};
    std::uint64_t mapped_bytes_{0};
    std::uint32_t height_seed_{0x9e37'79b9};  // any non-zero number
};

}  // namespace kernel::mm
