// SPDX-License-Identifier: MIT
#include "mm/slab.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "mm/fault_injection.hpp"
#include "mm/frames.hpp"

namespace kernel::mm {

void SlabCache::set_object_bytes(std::size_t object_bytes, std::size_t alignment) {
    const LockGuard guard{lock_};
    CHECK(in_use_ == 0);
    stride_ = stride_for(object_bytes, alignment);
    order_ = order_for(stride_);
}

Result<void*> SlabCache::allocate() {
    if (should_fail_allocation()) {
        return Error::NoMemory;
    }
    LockGuard guard{lock_};
    if (with_room_ == nullptr) {
        TRY(grow());
    }
    Slab& slab = *with_room_;
    // with_room_ lists only slabs with a free slot, and slots past the capacity are marked taken.
    std::size_t word = 0;
    while (slab.taken[word] == ~std::uint64_t{0}) {
        ++word;
    }
    const auto bit = static_cast<std::size_t>(std::countr_one(slab.taken[word]));
    slab.taken[word] |= std::uint64_t{1} << bit;
    ++slab.used;
    ++in_use_;
    if (slab.used == slab.capacity) {
        unlink(slab);
    }
    return reinterpret_cast<std::byte*>(&slab) + kHeaderBytes + (word * 64 + bit) * stride_;
}

void SlabCache::free(void* object) {
    LockGuard guard{lock_};
    // Blocks are aligned to their size, so the header is found from any address inside.
    const auto address = reinterpret_cast<std::uintptr_t>(object);
    auto& slab = *reinterpret_cast<Slab*>(address & ~(slab_bytes() - 1));
    CHECK(slab.owner == this);
    const std::size_t offset = address - reinterpret_cast<std::uintptr_t>(&slab) - kHeaderBytes;
    const std::size_t index = offset / stride_;
    CHECK(offset % stride_ == 0 && index < slab.capacity);
    const std::uint64_t bit = std::uint64_t{1} << (index % 64);
    CHECK((slab.taken[index / 64] & bit) != 0);
#ifdef NEURON_DEBUG
    std::memset(object, std::to_integer<int>(kPoisonByte), stride_);
#endif
    if (slab.used == slab.capacity) {
        link(slab);
    }
    slab.taken[index / 64] &= ~bit;
    --slab.used;
    --in_use_;
    if (slab.used == 0) {
        unlink(slab);
        slab.owner = nullptr;
        frames().free(virt_to_phys(&slab), order_);
    }
}

std::uint64_t SlabCache::in_use() const {
    LockGuard guard{lock_};
    return in_use_;
}

Result<void> SlabCache::grow() {
    const PhysAddr block = TRY(frames().allocate(order_));
    auto* slab = new (phys_to_virt(block)) Slab{};
    slab->owner = this;
    slab->capacity = static_cast<std::uint32_t>(
        std::min((slab_bytes() - kHeaderBytes) / stride_, std::size_t{kMaxObjectsPerSlab}));
    // Slots that are not there are taken.
    for (std::size_t word = 0; word < slab->taken.size(); ++word) {
        const std::size_t slots = slab->capacity - std::min<std::size_t>(slab->capacity, word * 64);
        slab->taken[word] = slots >= 64 ? 0 : ~std::uint64_t{0} << slots;
    }
    link(*slab);
    return {};
}

void SlabCache::link(Slab& slab) {
    slab.previous = nullptr;
    slab.next = with_room_;
    if (with_room_ != nullptr) {
        with_room_->previous = &slab;
    }
    with_room_ = &slab;
}

void SlabCache::unlink(Slab& slab) {
    if (slab.previous == nullptr) {
        with_room_ = slab.next;
    } else {
        slab.previous->next = slab.next;
    }
    if (slab.next != nullptr) {
        slab.next->previous = slab.previous;
    }
}

}  // namespace kernel::mm
