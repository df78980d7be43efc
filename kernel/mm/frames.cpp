// SPDX-License-Identifier: MIT
#include "mm/frames.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "mm/fault_injection.hpp"
#include "mm/frame_junk.hpp"

namespace kernel::mm {

namespace {

// Free ranges closer together than this share a region: a 16 MiB hole costs 64 KiB of bookkeeping.
constexpr std::uint64_t kLargestHoleBytes = std::uint64_t{16} << 20;

constinit FrameAllocator the_frames;

// The whole pages of a range; bytes == 0 when there are none.
PhysRange whole_pages(PhysRange range) {
    const std::uint64_t start = page_up(range.start.value());
    const std::uint64_t end = page_down(range.end().value());
    return {PhysAddr{start}, end > start ? end - start : 0};
}

std::span<std::byte> block_bytes(PhysAddr block, std::uint32_t order) {
    return {static_cast<std::byte*>(phys_to_virt(block)), kPageSize << order};
}

#ifdef NEURON_DEBUG
void check_not_cached(const FrameInfo& info) {
    CHECK(!info.is_cached);
}

void forget_use(BuddyRegion& region, PhysAddr block, std::uint32_t order) {
    for (std::uint64_t i = 0; i < std::uint64_t{1} << order; ++i) {
        region.info(block + i * kPageSize).is_for_programs = false;
    }
}

// Both for frames on their way through a cache; those that rest pass through none.
void forget_cached(BuddyRegion& region, PhysAddr frame) {
    if (!is_careful()) {
        forget_contents(region, frame, 0);
    }
}
void check_cached(BuddyRegion& region, PhysAddr frame) {
    if (!is_careful()) {
        check_contents(region, frame, 0);
    }
}
void check_zeroed(PhysAddr frame) {
    CHECK(std::ranges::all_of(frame_bytes(frame), [](std::byte byte) { return byte == std::byte{0}; }));
}
#else
void check_zeroed(PhysAddr) {}
void check_not_cached(const FrameInfo&) {}
void forget_use(BuddyRegion&, PhysAddr, std::uint32_t) {}
void forget_cached(BuddyRegion&, PhysAddr) {}
#endif

}  // namespace

FrameAllocator& frames() {
    return the_frames;
}

std::span<std::byte> frame_bytes(PhysAddr frame) {
    return block_bytes(frame, 0);
}

std::uint64_t FrameAllocator::init(std::span<const PhysRange> free_ranges) {
    LockGuard guard{lock_};
    CHECK_EQ(region_count_, 0U);
    if (is_careful()) {
        for (HartCache& cache : caches_) {
            cache.capacity = 0;
        }
    }
    std::uint64_t lost = 0;
    for (std::size_t first = 0; first < free_ranges.size();) {
        // One region: ranges until the next large hole. Its bookkeeping comes out of its largest range.
        std::size_t last = first;
        std::size_t largest = first;
        while (last + 1 < free_ranges.size() &&
               free_ranges[last + 1].start - free_ranges[last].end() <= kLargestHoleBytes) {
            ++last;
            CHECK(free_ranges[last].start >= free_ranges[last - 1].end());
            if (free_ranges[last].bytes > free_ranges[largest].bytes) {
                largest = last;
            }
        }
        const PhysAddr start = page_down(free_ranges[first].start);
        const PhysRange span{start, page_down(free_ranges[last].end().value()) - start.value()};
        const PhysRange home = whole_pages(free_ranges[largest]);
        const std::uint64_t info_bytes = page_up(BuddyRegion::info_bytes(span));
        const bool fits = region_count_ < kMaxRegions && home.bytes > info_bytes;
        if (fits) {
            BuddyRegion& region = regions_[region_count_++];
            region.init(span, static_cast<FrameInfo*>(phys_to_virt(home.start)));
            for (std::size_t i = first; i <= last; ++i) {
                PhysRange usable = whole_pages(free_ranges[i]);
                if (i == largest) {
                    usable = {usable.start + info_bytes, usable.bytes - info_bytes};
                }
                if (usable.bytes > 0) {
                    region.add_free(usable);
                }
            }
        } else {
            for (std::size_t i = first; i <= last; ++i) {
                lost += free_ranges[i].bytes;
            }
        }
        first = last + 1;
    }
    return lost;
}

[[gnu::always_inline]] inline Result<PhysAddr> FrameAllocator::take_frame() {
    if (should_fail_allocation()) {
        return Error::NoMemory;
    }
    HartCache& cache = this_hart();
    std::uint32_t count = cache.count.load(std::memory_order_relaxed);
    if (count == 0) [[unlikely]] {
        count = refill(cache);
        if (count == 0) {
            if (cache.zeroed_count.load(std::memory_order_relaxed) != 0) {
                return take_zeroed(cache);
            }
            return Error::NoMemory;
        }
    }
    const PhysAddr frame = cache.frames[--count];
    cache.count.store(count, std::memory_order_relaxed);
#ifdef NEURON_DEBUG  // a release kernel need not find out which region it is of
    BuddyRegion& region = region_of(frame);
    note_given_out(region.info(frame));
    check_cached(region, frame);
#endif
    return frame;
}

Result<PhysAddr> FrameAllocator::allocate_frame() {
    return take_frame();
}

PhysAddr FrameAllocator::take_zeroed(HartCache& cache) {
    const std::uint32_t count = cache.zeroed_count.load(std::memory_order_relaxed) - 1;
    cache.zeroed_count.store(count, std::memory_order_relaxed);
    const PhysAddr frame = cache.zeroed[count];
#ifdef NEURON_DEBUG
    note_given_out(region_of(frame).info(frame));
#endif
    check_zeroed(frame);
    return frame;
}

Result<PhysAddr> FrameAllocator::reuse_zeroed_frame() {
    HartCache& cache = this_hart();
    if (cache.zeroed_count.load(std::memory_order_relaxed) == 0) {
        return allocate_zeroed_frame();
    }
    return should_fail_allocation() ? Result<PhysAddr>{Error::NoMemory} : take_zeroed(cache);
}

Result<PhysAddr> FrameAllocator::allocate_zeroed_frame() {
    const PhysAddr frame = TRY(take_frame());
    arch::zero_page(phys_to_virt(frame));
    return frame;
}

Result<PhysAddr> FrameAllocator::allocate(std::uint32_t order) {
    CHECK(order <= kMaxOrder);
    if (order == 0) {
        return allocate_frame();
    }
    if (should_fail_allocation()) {
        return Error::NoMemory;
    }
    LockGuard guard{lock_};
    do {
        for (std::size_t i = 0; i < region_count_; ++i) {
            const Result<PhysAddr> block = regions_[i].allocate(order);
            if (block) {
                check_contents(regions_[i], *block, order);
                return block;
            }
        }
    } while (end_rest());
    return Error::NoMemory;
}

void FrameAllocator::free(PhysAddr block, std::uint32_t order) {
    BuddyRegion& region = region_of(block);
    FrameInfo& info = region.info(block);
    CHECK(info.state.load(std::memory_order_relaxed) == FrameState::InUse);
    CHECK_EQ(info.order, order);
    CHECK_EQ(info.references.load(std::memory_order_relaxed), 1U);
    if (order == 0) {
        unref(block);
        return;
    }
    forget_use(region, block, order);
    forget_contents(region, block, order);
    LockGuard guard{lock_};
    region.free(block, order);
}

// Both take the usual case, one region, by themselves and leave the rest to others that take over: they keep
// no register for a call on the way.
void FrameAllocator::ref(PhysAddr frame) {
    if (!regions_[0].contains(frame)) [[unlikely]] {
        ref_further(frame);
        return;
    }
    add_reference(regions_[0].info(frame));
}

void FrameAllocator::ref_further(PhysAddr frame) {
    add_reference(region_of(frame).info(frame));
}

[[gnu::always_inline]] inline void FrameAllocator::add_reference(FrameInfo& info) {
    // Relaxed: whoever takes another reference already has the frame through one.
    check_not_cached(info);
    const std::uint32_t before = info.references.fetch_add(1, std::memory_order_relaxed);
    CHECK(before > 0);
}

void FrameAllocator::unref(PhysAddr frame) {
    CHECK(is_page_aligned(frame.value()));
    if (!regions_[0].contains(frame)) [[unlikely]] {
        unref_further(frame);
        return;
    }
    drop_reference(regions_[0], frame);
}

void FrameAllocator::unref_zeroed(PhysAddr frame) {
    check_zeroed(frame);
    HartCache& cache = this_hart();
    const std::uint32_t count = cache.zeroed_count.load(std::memory_order_relaxed);
    if (cache.capacity == 0 || count == cache.zeroed.size() || !regions_[0].contains(frame)) {
        unref(frame);
        return;
    }
    FrameInfo& info = regions_[0].info(frame);
    CHECK(info.state.load(std::memory_order_relaxed) == FrameState::InUse);
    CHECK_EQ(info.references.load(std::memory_order_acquire), 1U);
    note_cached(info);
    forget_use(regions_[0], frame, 0);
    cache.zeroed[count] = frame;
    cache.zeroed_count.store(count + 1, std::memory_order_relaxed);
}

void FrameAllocator::unref_further(PhysAddr frame) {
    drop_reference(region_of(frame), frame);
}

[[gnu::always_inline]] inline void FrameAllocator::drop_reference(BuddyRegion& region, PhysAddr frame) {
    FrameInfo& info = region.info(frame);
    CHECK(info.state.load(std::memory_order_relaxed) == FrameState::InUse);
    CHECK_EQ(info.order, 0U);
    // Release: what this holder did to the frame comes before its reuse; acquire, in the last one, is the
    // other half. The only holder has nobody to race with: references are made of references.
    if (info.references.load(std::memory_order_acquire) != 1) {
        const std::uint32_t before = info.references.fetch_sub(1, std::memory_order_acq_rel);
        CHECK(before > 0);
        if (before > 1) {
            return;
        }
        info.references.store(1, std::memory_order_relaxed);
    }
    note_cached(info);
    forget_use(region, frame, 0);
    forget_cached(region, frame);
    HartCache& cache = this_hart();
    const std::uint32_t count = cache.count.load(std::memory_order_relaxed);
    if (count == cache.capacity) [[unlikely]] {
        put_in_full(cache, frame);
        return;
    }
    cache.frames[count] = frame;
    cache.count.store(count + 1, std::memory_order_relaxed);
}

void FrameAllocator::put_in_full(HartCache& cache, PhysAddr frame) {
    if (cache.capacity == 0) {
        put_to_rest(frame);
        return;
    }
    spill(cache, kCacheCapacity - kCacheBatch);
    const std::uint32_t count = cache.count.load(std::memory_order_relaxed);
    cache.frames[count] = frame;
    cache.count.store(count + 1, std::memory_order_relaxed);
}

std::uint32_t FrameAllocator::references(PhysAddr frame) const {
    return region_of(frame).info(frame).references.load(std::memory_order_relaxed);
}

#ifdef NEURON_DEBUG
void FrameAllocator::note_cached(FrameInfo& info) {
    CHECK(!info.is_cached);
    info.is_cached = true;
}

void FrameAllocator::note_given_out(FrameInfo& info) {
    CHECK(info.is_cached);
    info.is_cached = false;
}

void FrameAllocator::note_for_programs(PhysAddr frame) {
    region_of(frame).info(frame).is_for_programs = true;
}

bool FrameAllocator::is_for_programs(PhysAddr frame) const {
    const auto* const region = std::ranges::find_if(
        regions_, [frame](const BuddyRegion& candidate) { return candidate.contains(frame); });
    if (region == regions_.end()) {
        return false;
    }
    const FrameInfo& info = region->info(frame);
    return info.state.load(std::memory_order_relaxed) == FrameState::InUse && info.is_for_programs;
}
#else
bool FrameAllocator::is_for_programs(PhysAddr) const {
    return true;
}
#endif

FrameStats FrameAllocator::stats() const {
    LockGuard guard{lock_};
    FrameStats stats{.total = 0, .free = resting_count_};
    for (std::size_t i = 0; i < region_count_; ++i) {
        stats.total += regions_[i].total_frames();
        stats.free += regions_[i].free_frames();
    }
    for (const HartCache& cache : caches_) {
        stats.free +=
            cache.count.load(std::memory_order_relaxed) + cache.zeroed_count.load(std::memory_order_relaxed);
    }
    return stats;
}

void FrameAllocator::drain_this_hart() {
    {
        LockGuard guard{lock_};
        while (end_rest()) {
        }
    }
    HartCache& cache = this_hart();
    spill(cache, 0);
    while (cache.zeroed_count.load(std::memory_order_relaxed) != 0) {
        unref(take_zeroed(cache));
    }
    spill(cache, 0);
}

void FrameAllocator::check_invariants() const {
    LockGuard guard{lock_};
    for (std::size_t i = 0; i < region_count_; ++i) {
        regions_[i].check_invariants();
    }
}

FrameAllocator::HartCache& FrameAllocator::this_hart() {
    return caches_[arch::current_cpu().value()];
}

std::size_t FrameAllocator::further_region(PhysAddr frame) const {
    std::size_t i = 1;
    while (i < region_count_ && !regions_[i].contains(frame)) {
        ++i;
    }
    CHECK(i < region_count_);
    return i;
}

std::uint32_t FrameAllocator::refill(HartCache& cache) {
    if (cache.capacity == 0) {
        return take_one(cache);
    }
    LockGuard guard{lock_};
    std::uint32_t count = 0;
    for (std::size_t i = 0; i < region_count_; ++i) {
        while (count < kCacheBatch) {
            const auto fits = static_cast<std::uint32_t>(std::bit_width(kCacheBatch - count)) - 1;
            const BuddyRegion::Run run = regions_[i].take_run(fits);
            if (run.frames == 0) {
                break;
            }
            // The last one in is the first one out: ascending.
            for (std::uint32_t left = run.frames; left > 0; --left) {
                const PhysAddr frame = run.start + (left - 1) * kPageSize;
                note_cached(regions_[i].info(frame));
                cache.frames[count++] = frame;
            }
        }
    }
    cache.count.store(count, std::memory_order_relaxed);
    return count;
}

void FrameAllocator::spill(HartCache& cache, std::uint32_t keep) {
    LockGuard guard{lock_};
    std::uint32_t count = cache.count.load(std::memory_order_relaxed);
    while (count > keep) {
        const PhysAddr last = cache.frames[--count];
        PhysAddr low = last;
        PhysAddr high = last;
        while (count > keep && cache.frames[count - 1] + kPageSize == low) {
            low = cache.frames[--count];
        }
        while (low == last && count > keep && cache.frames[count - 1] == high + kPageSize) {
            high = cache.frames[--count];
        }
        BuddyRegion& region = region_of(low);
        CHECK(region.contains(high));
        for (PhysAddr frame = low; frame <= high; frame = frame + kPageSize) {
            note_given_out(region.info(frame));
        }
        region.free_run({low, static_cast<std::uint32_t>((high - low) >> kPageShift) + 1});
    }
    cache.count.store(count, std::memory_order_relaxed);
}

}  // namespace kernel::mm
