// SPDX-License-Identifier: MIT
// A binary buddy allocator over one stretch of physical memory (Knuth, The Art of Computer Programming
// 1, 2.5). Blocks are 2^order frames, aligned to their size; a freed block joins its buddy while that is free
// too. Bookkeeping is one FrameInfo per frame, kept apart from the frames, whose contents the region never
// reads or writes.
//
// Concurrency: none of its own, but for reference counts, which are atomic; guarded by FrameAllocator's lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "lib/result.hpp"
#include "mm/layout.hpp"

namespace kernel::mm {

inline constexpr std::uint32_t kMaxOrder = 9;  // 2 MiB, one large page

enum class FrameState : std::uint8_t {
    NoHead,  // any frame of a block but its head, or none of ours
    Free,    // head of a free block, on the list of its order
    InUse,   // head of a block given out; a frame in a hart's cache is given out to that cache
};

struct FrameInfo {
    std::atomic<std::uint32_t> references{0};
    std::uint32_t next{0};  // free list links: index of the frame in its region
    std::uint32_t previous{0};
    std::uint8_t order{0};  // of the block this frame heads
    // Atomic, relaxed: a hart looks at it without the lock, when it frees, while another under the lock looks
    // at its buddy's.
    std::atomic<FrameState> state{FrameState::NoHead};
    // Written by whoever owns the frame then.
    bool is_filled : 1 {false};  // freed, and filled with what junk() says
    // Debug builds.
    bool is_for_programs : 1 {false};  // FrameAllocator::note_for_programs()
    bool is_cached{false};             // in a hart's cache, so nobody may free it or take a reference
};
static_assert(sizeof(FrameInfo) == 16);

class BuddyRegion {
  public:
    constexpr BuddyRegion() = default;

    // Bookkeeping for [start, start + bytes) takes this many bytes.
    [[nodiscard]] static std::uint64_t info_bytes(PhysRange range);
    // Manages `range` with no frame free. Costs about 2.5 instructions per frame: what boot spends on RAM.
    // Pre: info points to info_bytes(range) bytes, range is page aligned.
    void init(PhysRange range, FrameInfo* info);
    // Hands frames to the region. Pre: page aligned, inside the region, reserved until now.
    void add_free(PhysRange range);

    [[nodiscard]] bool contains(PhysAddr address) const {
        return address >= base_ && address - base_ < std::uint64_t{frame_count_} * kPageSize;
    }
    // Pre: contains(address).
    [[nodiscard]] FrameInfo& info(PhysAddr address) const { return info_[(address - base_) >> kPageShift]; }

    // The block's head is InUse with one reference. NoMemory when no block of that order can be made.
    [[nodiscard]] Result<PhysAddr> allocate(std::uint32_t order);
    // Pre: block heads a block of this order that is InUse.
    void free(PhysAddr block, std::uint32_t order);

    // For the harts' caches. A run of frames in a row.
    struct Run {
        PhysAddr start;
        std::uint32_t frames{0};  // 0: nothing is free
    };
    // The smallest free block, at most 2^max_order frames of it, each of them a block of its own that is
    // InUse with one reference.
    [[nodiscard]] Run take_run(std::uint32_t max_order);
    // Pre: each of the run's frames is a block of its own that is InUse with one reference.
    void free_run(Run run);

    [[nodiscard]] std::uint64_t free_frames() const { return free_frames_; }
    [[nodiscard]] std::uint64_t total_frames() const { return total_frames_; }
    // Walks everything and stops the machine on an inconsistency. For tests.
    void check_invariants() const;

  private:
    static constexpr std::uint32_t kNone = 0xffff'ffff;
    static constexpr std::uint32_t kOrders = kMaxOrder + 1;
    static constexpr std::array<std::uint32_t, kOrders> empty_lists() {
        std::array<std::uint32_t, kOrders> heads{};
        heads.fill(kNone);
        return heads;
    }

    [[nodiscard]] PhysAddr address_of(std::uint32_t index) const { return base_ + index * kPageSize; }
    [[nodiscard]] std::uint32_t index_of(PhysAddr address) const;
    void push(std::uint32_t index, std::uint32_t order);
    void remove(std::uint32_t index);
    // Frees without accounting, joining buddies.
    void insert_block(std::uint32_t index, std::uint32_t order);
    // The same for frames in a row, by the largest blocks they make.
    void insert_run(std::uint32_t index, std::uint32_t frames);
    // Takes a block off its list and gives back what lies beyond its first 2^order frames. kNone: none is
    // that large.
    [[nodiscard]] std::uint32_t take_block(std::uint32_t order);

    PhysAddr
        base_{};  // rounded down to the largest block's size, so that an index is aligned as its address is
    std::uint32_t frame_count_{0};
    FrameInfo* info_{nullptr};
    std::array<std::uint32_t, kOrders> free_lists_ = empty_lists();
    std::uint64_t free_frames_{0};
    std::uint64_t total_frames_{0};
};

}  // namespace kernel::mm
