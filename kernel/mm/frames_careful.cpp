// SPDX-License-Identifier: MIT
#include <cstring>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "lib/fatal.hpp"
#include "lib/format.hpp"
#include "mm/frame_junk.hpp"
#include "mm/frames.hpp"
#include "mm/shadow.hpp"

namespace kernel::mm {

namespace {

// At each end of a frame where freed memory need not rest: a whole check would double the price of debugging.
constexpr std::size_t kCheckedBytes = 64;
constexpr std::size_t kMessageBytes = 200;

void check_filled(PhysAddr frame, std::size_t offset, std::size_t bytes, std::byte fill) {
    const auto part = frame_bytes(frame).subspan(offset, bytes);
    if (const auto change = first_change(part, fill); change.has_value()) {
        Line<kMessageBytes> line;
        line << "a free frame was written to: byte " << offset + *change << " of the frame at "
             << hex(frame.value()) << " is " << hex(std::to_integer<std::uint64_t>(part[*change]))
             << " instead of " << hex(std::to_integer<std::uint64_t>(fill));
        fatal(line.text());
    }
}

}  // namespace

void forget_contents(BuddyRegion& region, PhysAddr block, std::uint32_t order) {
    const std::uint64_t bytes = kPageSize << order;
    if (const auto fill = junk(); fill.has_value()) {
        std::memset(phys_to_virt(block), std::to_integer<int>(*fill), bytes);
        for (std::uint64_t offset = 0; offset < bytes; offset += kPageSize) {
            region.info(block + offset).is_filled = true;
        }
    }
    note_block_freed(block, bytes);
}

void check_contents(BuddyRegion& region, PhysAddr block, std::uint32_t order) {
    note_block_given_out(block, kPageSize << order);
    const auto fill = junk();
    if (!fill.has_value()) {
        return;
    }
    for (std::uint64_t i = 0; i < std::uint64_t{1} << order; ++i) {
        const PhysAddr frame = block + i * kPageSize;
        FrameInfo& info = region.info(frame);
        if (!info.is_filled) {
            continue;
        }
        info.is_filled = false;
        if (is_careful()) {
            check_filled(frame, 0, kPageSize, *fill);
        } else {
            check_filled(frame, 0, kCheckedBytes, *fill);
            check_filled(frame, kPageSize - kCheckedBytes, kCheckedBytes, *fill);
        }
    }
}

std::uint32_t FrameAllocator::take_one(HartCache& cache) {
    LockGuard guard{lock_};
    do {
        for (std::size_t i = 0; i < region_count_; ++i) {
            BuddyRegion& region = regions_[i];
            const BuddyRegion::Run run = region.take_run(0);
            if (run.frames != 0) {
                check_contents(region, run.start, 0);
                note_cached(region.info(run.start));
                cache.frames[0] = run.start;
                cache.count.store(1, std::memory_order_relaxed);
                return 1;
            }
        }
    } while (end_rest());
    return 0;
}

void FrameAllocator::put_to_rest(PhysAddr frame) {
    forget_contents(region_of(frame), frame, 0);
    LockGuard guard{lock_};
    if (resting_count_ == kMaxResting) {
        end_rest();
    }
    resting_[(first_resting_ + resting_count_) % kMaxResting] = frame;
    ++resting_count_;
}

bool FrameAllocator::end_rest() {
    if (resting_count_ == 0) {
        return false;
    }
    const PhysAddr frame = resting_[first_resting_];
    first_resting_ = (first_resting_ + 1) % kMaxResting;
    --resting_count_;
    BuddyRegion& region = region_of(frame);
    note_given_out(region.info(frame));
    region.free_run({frame, 1});
    return true;
}

}  // namespace kernel::mm
