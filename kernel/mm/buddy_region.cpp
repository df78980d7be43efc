// SPDX-License-Identifier: MIT
#include "mm/buddy_region.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "lib/check.hpp"

namespace kernel::mm {

namespace {

constexpr std::uint64_t kLargestBlockBytes = kPageSize << kMaxOrder;

PhysAddr region_base(PhysRange range) {
    return PhysAddr{range.start.value() & ~(kLargestBlockBytes - 1)};
}

FrameState state_of(const FrameInfo& info) {
    return info.state.load(std::memory_order_relaxed);
}
void set_state(FrameInfo& info, FrameState state) {
    info.state.store(state, std::memory_order_relaxed);
}

}  // namespace

std::uint64_t BuddyRegion::info_bytes(PhysRange range) {
    return ((range.end() - region_base(range)) >> kPageShift) * sizeof(FrameInfo);
}

void BuddyRegion::init(PhysRange range, FrameInfo* info) {
    CHECK(is_page_aligned(range.start.value()) && is_page_aligned(range.bytes));
    base_ = region_base(range);
    const std::uint64_t count = (range.end() - base_) >> kPageShift;
    CHECK(count < kNone);
    frame_count_ = static_cast<std::uint32_t>(count);
    info_ = info;
    // Every member of a fresh FrameInfo is zero.
    static_assert(static_cast<int>(FrameState::NoHead) == 0);
    std::memset(static_cast<void*>(info_), 0, frame_count_ * sizeof(FrameInfo));
}

void BuddyRegion::add_free(PhysRange range) {
    CHECK(is_page_aligned(range.start.value()) && is_page_aligned(range.bytes));
    CHECK(contains(range.start) && range.end() - base_ <= std::uint64_t{frame_count_} * kPageSize);
    const std::uint32_t index = index_of(range.start);
    const auto frames = static_cast<std::uint32_t>(range.bytes >> kPageShift);
    CHECK(state_of(info_[index]) == FrameState::NoHead);
    total_frames_ += frames;
    free_frames_ += frames;
    insert_run(index, frames);
}

Result<PhysAddr> BuddyRegion::allocate(std::uint32_t order) {
    DCHECK(order <= kMaxOrder);
    const std::uint32_t index = take_block(order);
    if (index == kNone) {
        return Error::NoMemory;
    }
    FrameInfo& head = info_[index];
    head.order = static_cast<std::uint8_t>(order);
    set_state(head, FrameState::InUse);
    head.references.store(1, std::memory_order_relaxed);
    free_frames_ -= std::uint64_t{1} << order;
    return address_of(index);
}

void BuddyRegion::free(PhysAddr block, std::uint32_t order) {
    const std::uint32_t index = index_of(block);
    FrameInfo& head = info_[index];
    CHECK(state_of(head) == FrameState::InUse);
    CHECK_EQ(head.order, order);
    head.references.store(0, std::memory_order_relaxed);
    free_frames_ += std::uint64_t{1} << order;
    insert_block(index, order);
}

BuddyRegion::Run BuddyRegion::take_run(std::uint32_t max_order) {
    std::uint32_t order = 0;
    while (order < max_order && free_lists_[order] == kNone) {
        ++order;
    }
    const std::uint32_t index = take_block(order);
    if (index == kNone) {
        return {};
    }
    const std::uint32_t frames = 1U << order;
    for (std::uint32_t i = index; i < index + frames; ++i) {
        info_[i].order = 0;
        info_[i].references.store(1, std::memory_order_relaxed);
        set_state(info_[i], FrameState::InUse);
    }
    free_frames_ -= frames;
    return {address_of(index), frames};
}

void BuddyRegion::free_run(Run run) {
    const std::uint32_t index = index_of(run.start);
    for (std::uint32_t i = index; i < index + run.frames; ++i) {
        CHECK(state_of(info_[i]) == FrameState::InUse);
        CHECK_EQ(info_[i].references.load(std::memory_order_relaxed), 1U);
        info_[i].references.store(0, std::memory_order_relaxed);
        set_state(info_[i], FrameState::NoHead);
    }
    free_frames_ += run.frames;
    insert_run(index, run.frames);
}

std::uint32_t BuddyRegion::take_block(std::uint32_t order) {
    std::uint32_t found = order;
    while (found <= kMaxOrder && free_lists_[found] == kNone) {
        ++found;
    }
    if (found > kMaxOrder) {
        return kNone;
    }
    const std::uint32_t index = free_lists_[found];
    remove(index);
    while (found > order) {
        --found;
        push(index + (1U << found), found);
    }
    return index;
}

std::uint32_t BuddyRegion::index_of(PhysAddr address) const {
    DCHECK(contains(address) && is_page_aligned(address.value()));
    return static_cast<std::uint32_t>((address - base_) >> kPageShift);
}

void BuddyRegion::push(std::uint32_t index, std::uint32_t order) {
    FrameInfo& head = info_[index];
    head.order = static_cast<std::uint8_t>(order);
    set_state(head, FrameState::Free);
    head.previous = kNone;
    head.next = free_lists_[order];
    if (head.next != kNone) {
        info_[head.next].previous = index;
    }
    free_lists_[order] = index;
}

void BuddyRegion::remove(std::uint32_t index) {
    FrameInfo& head = info_[index];
    DCHECK(state_of(head) == FrameState::Free);
    if (head.previous == kNone) {
        free_lists_[head.order] = head.next;
    } else {
        info_[head.previous].next = head.next;
    }
    if (head.next != kNone) {
        info_[head.next].previous = head.previous;
    }
    set_state(head, FrameState::NoHead);
}

void BuddyRegion::insert_block(std::uint32_t index, std::uint32_t order) {
    while (order < kMaxOrder) {
        const std::uint32_t buddy = index ^ (1U << order);
        if (buddy >= frame_count_ || state_of(info_[buddy]) != FrameState::Free ||
            info_[buddy].order != order) {
            break;
        }
        remove(buddy);
        set_state(info_[index], FrameState::NoHead);
        index = std::min(index, buddy);
        ++order;
    }
    push(index, order);
}

void BuddyRegion::insert_run(std::uint32_t index, std::uint32_t frames) {
    while (frames > 0) {
        // The largest block that starts here aligned and fits into what is left.
        std::uint32_t order = 0;
        while (order < kMaxOrder && (index >> order) % 2 == 0 && 2U << order <= frames) {
            ++order;
        }
        insert_block(index, order);
        index += 1U << order;
        frames -= 1U << order;
    }
}

void BuddyRegion::check_invariants() const {
    std::uint64_t listed = 0;
    for (std::uint32_t order = 0; order <= kMaxOrder; ++order) {
        std::uint32_t previous = kNone;
        for (std::uint32_t index = free_lists_[order]; index != kNone; index = info_[index].next) {
            const FrameInfo& head = info_[index];
            CHECK(state_of(head) == FrameState::Free);
            CHECK_EQ(head.order, order);
            CHECK_EQ(head.previous, previous);
            CHECK_EQ(head.references.load(std::memory_order_relaxed), 0U);
            CHECK_EQ(index & ((1U << order) - 1), 0U);
            for (std::uint32_t i = 1; i < 1U << order; ++i) {
                CHECK(state_of(info_[index + i]) == FrameState::NoHead);
            }
            // Two free buddies would have been joined.
            const std::uint32_t buddy = index ^ (1U << order);
            CHECK(order == kMaxOrder || buddy >= frame_count_ || state_of(info_[buddy]) != FrameState::Free ||
                  info_[buddy].order != order);
            listed += std::uint64_t{1} << order;
            previous = index;
        }
    }
    CHECK_EQ(listed, free_frames_);
}

}  // namespace kernel::mm
