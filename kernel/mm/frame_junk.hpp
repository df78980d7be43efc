// SPDX-License-Identifier: MIT
// What mm/junk.hpp promises of frames. For FrameAllocator. Concurrency: the block's owner, or the allocator's
// lock.
#pragma once

#include <cstdint>

#include "mm/buddy_region.hpp"

namespace kernel::mm {

// The block is free from now on: filled, if junk() says so, and nobody's in the shadow.
void forget_contents(BuddyRegion& region, PhysAddr block, std::uint32_t order);
// The block is given out: stops the machine when somebody wrote to it after it was filled.
void check_contents(BuddyRegion& region, PhysAddr block, std::uint32_t order);

}  // namespace kernel::mm
