// SPDX-License-Identifier: MIT
// Physical memory by the frame (4 KiB): a buddy allocator over every free range of RAM, with a small cache of
// single frames per hart in front of it, and a reference count per frame for those that are shared.
//
// A frame is given out with one reference and returns when the last one is dropped. In debug builds, or when
// set_junk() was called, a free frame is filled and looked at when it is given out again (mm/junk.hpp).
// Freeing what is free, or what was never ours, stops the machine; what a hart's cache holds is known to be
// free in debug builds only: its record says "in use, one reference" while it is there, so that a hart that
// allocates and frees writes no record, whose line is shared with the records of three other frames and their
// harts.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/cpu_mask.hpp"
#include "lib/result.hpp"
#include "mm/buddy_region.hpp"
#include "mm/junk.hpp"
#include "mm/layout.hpp"
#include "sync/spinlock.hpp"

namespace kernel::mm {

struct FrameStats {
    std::uint64_t total{0};  // frames under management, without the allocator's own bookkeeping
    std::uint64_t free{0};   // of these, free now, those in the harts' caches included
};

// Concurrency: any hart, with or without locks of a rank below Frames. Each hart's cache is hart-local; the
// rest is guarded by lock_. Reference counts are atomic.
class FrameAllocator {
  public:
    static constexpr std::size_t kMaxRegions = 8;

    constexpr FrameAllocator() = default;
    FrameAllocator(const FrameAllocator&) = delete;
    FrameAllocator& operator=(const FrameAllocator&) = delete;

    // Takes over `free_ranges`: ascending, not overlapping, RAM that nothing else uses and that
    // phys_to_virt() reaches; partial pages at their ends are left out. Bookkeeping (16 bytes a frame) comes
    // out of the ranges. Returns the number of bytes it could not use because they lie in more than
    // kMaxRegions far-apart regions. Pre: called once, by one hart.
    std::uint64_t init(std::span<const PhysRange> free_ranges) EXCLUDES(lock_);

    // One frame with one reference; contents unspecified. NoMemory when this hart's cache and the pool are
    // empty.
    [[nodiscard]] Result<PhysAddr> allocate_frame() EXCLUDES(lock_);
    // The same, all bytes zero.
    [[nodiscard]] Result<PhysAddr> allocate_zeroed_frame() EXCLUDES(lock_);
    // The same for page tables: one that unref_zeroed() kept, if there is one.
    [[nodiscard]] Result<PhysAddr> reuse_zeroed_frame() EXCLUDES(lock_);
    // 2^order frames in a row, aligned to their size, one reference for the whole. Pre: order <= kMaxOrder.
    [[nodiscard]] Result<PhysAddr> allocate(std::uint32_t order) EXCLUDES(lock_);
    // Pre: block was given out by allocate(order) and carries exactly one reference.
    void free(PhysAddr block, std::uint32_t order) EXCLUDES(lock_);

    // Adds a reference to a single frame in use.
    void ref(PhysAddr frame);
    // Drops one; the last returns the frame. Pre: frame is in use and was allocated singly.
    void unref(PhysAddr frame) EXCLUDES(lock_);
    // unref() by the only holder of a frame that is all zeros, as those of page tables are in the end: it is
    // kept so for reuse_zeroed_frame(). Debug builds look whether it is, now and then.
    void unref_zeroed(PhysAddr frame) EXCLUDES(lock_);
    // How many references a frame in use has. Exact only while the caller keeps others from changing it.
    [[nodiscard]] std::uint32_t references(PhysAddr frame) const;

    // Notes that the frame, just given out, is to hold a program's or a file's bytes, until it is freed: no
    // other may be mapped for a program. Debug builds.
#ifdef NEURON_DEBUG
    void note_for_programs(PhysAddr frame);
#else
    void note_for_programs(PhysAddr) {}
#endif
    // Whether the frame is in use and note_for_programs() was called; any address will do. Without
    // NEURON_DEBUG: always.
    [[nodiscard]] bool is_for_programs(PhysAddr frame) const;

    // A snapshot; exact when no other hart allocates.
    [[nodiscard]] FrameStats stats() const EXCLUDES(lock_);
    // Gives the calling hart's cached frames back to the pool.
    void drain_this_hart() EXCLUDES(lock_);
    // Stops the machine when the bookkeeping is inconsistent. For tests.
    void check_invariants() const EXCLUDES(lock_);

  private:
    static constexpr std::uint32_t kCacheCapacity = 32;
    static constexpr std::uint32_t kBatchOrder = 4;
    static constexpr std::uint32_t kCacheBatch = 1 << kBatchOrder;

    static constexpr std::uint32_t kZeroedCapacity = 8;

    // Hart-local, but for the counts, which stats() of another hart reads.
    struct alignas(64) HartCache {
        std::atomic<std::uint32_t> count{0};
        std::uint32_t capacity{kCacheCapacity};  // 0: nothing stays here, is_careful()
        std::array<PhysAddr, kCacheCapacity> frames{};
        std::atomic<std::uint32_t> zeroed_count{0};
        std::array<PhysAddr, kZeroedCapacity> zeroed{};  // all zeros; none with capacity 0
    };

    // Pre: the frame is one of ours. Most machines have one region.
    [[nodiscard]] BuddyRegion& region_of(PhysAddr frame) {
        return regions_[0].contains(frame) ? regions_[0] : regions_[further_region(frame)];
    }
    [[nodiscard]] const BuddyRegion& region_of(PhysAddr frame) const {
        return regions_[0].contains(frame) ? regions_[0] : regions_[further_region(frame)];
    }
    [[nodiscard, gnu::noinline]] std::size_t further_region(PhysAddr frame) const;
    // ref() and unref() of frames in another region than the first, and their last steps.
    [[gnu::noinline]] void ref_further(PhysAddr frame);
    [[gnu::noinline]] void unref_further(PhysAddr frame) EXCLUDES(lock_);
    static void add_reference(FrameInfo& info);
    void drop_reference(BuddyRegion& region, PhysAddr frame) EXCLUDES(lock_);
    // allocate_frame(), inlined into both that are on the fault path.
    [[nodiscard]] Result<PhysAddr> take_frame() EXCLUDES(lock_);
    [[nodiscard]] HartCache& this_hart();
    // Pre: there is one.
    [[nodiscard]] PhysAddr take_zeroed(HartCache& cache);
#ifdef NEURON_DEBUG
    static void note_cached(FrameInfo& info);
    static void note_given_out(FrameInfo& info);
#else
    static void note_cached(FrameInfo&) {}
    static void note_given_out(FrameInfo&) {}
#endif
    // Pre: the cache is empty. Returns how many frames it has now.
    [[nodiscard, gnu::noinline]] std::uint32_t refill(HartCache& cache) EXCLUDES(lock_);
    // Puts a frame into a cache that was full.
    [[gnu::noinline]] void put_in_full(HartCache& cache, PhysAddr frame) EXCLUDES(lock_);
    // Frames that lie in a row go back as one block: freed and taken in order, as by whoever uses much
    // memory, they cost a tenth of what they do one by one.
    [[gnu::noinline]] void spill(HartCache& cache, std::uint32_t keep) EXCLUDES(lock_);
    // While is_careful(), frames_careful.cpp: a frame that comes back waits behind the ones that came before,
    // is looked at when it is given out, and passes through no cache on the way.
    [[nodiscard]] std::uint32_t take_one(HartCache& cache) EXCLUDES(lock_);
    void put_to_rest(PhysAddr frame) EXCLUDES(lock_);
    // The one that has rested longest goes back to its region. False: none rests.
    bool end_rest() REQUIRES(lock_);

    static constexpr std::size_t kMaxResting = 128;
    std::array<PhysAddr, kMaxResting> resting_ GUARDED_BY(lock_){};
    std::size_t first_resting_ GUARDED_BY(lock_){0};
    std::size_t resting_count_ GUARDED_BY(lock_){0};

    mutable SpinLock lock_{LockRank::Frames};
    // Which regions exist is immutable after init; what is free in them is guarded by lock_.
    std::array<BuddyRegion, kMaxRegions> regions_{};
    std::size_t region_count_{0};
    std::array<HartCache, kMaxCpus> caches_{};
};

// The kernel's one pool of RAM.
[[nodiscard]] FrameAllocator& frames();

// The bytes of a frame.
[[nodiscard]] std::span<std::byte> frame_bytes(PhysAddr frame);

}  // namespace kernel::mm
