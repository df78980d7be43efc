// SPDX-License-Identifier: MIT
#include "mm/slab.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "arch/contract.hpp"
#include "lib/check.hpp"
#include "lib/fatal.hpp"
#include "lib/format.hpp"
#include "mm/fault_injection.hpp"
#include "mm/frames.hpp"
#include "mm/junk.hpp"

namespace kernel::mm {

namespace {

constexpr std::size_t kMessageBytes = 300;

// Whether note_given_out() does anything.
bool looks_at_objects() {
    return kHasShadow || junk().has_value();
}

}  // namespace

void SlabCache::set_object_bytes(std::size_t object_bytes, std::size_t alignment) {
    const LockGuard guard{lock_};
    CHECK(in_use_ == 0);
    object_bytes_ = object_bytes;
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
    const std::size_t slot = free_slot(slab);
    slab.taken[slot / 64] |= std::uint64_t{1} << (slot % 64);
    ++slab.used;
    ++in_use_;
    if (slab.used == slab.capacity) {
        unlink(slab);
    }
    std::byte* const object = reinterpret_cast<std::byte*>(&slab) + kHeaderBytes + slot * stride_;
    if (looks_at_objects()) [[unlikely]] {
        note_given_out(object);
    }
    return object;
}

// Pre: the slab has a free slot; those past its capacity are marked taken.
std::size_t SlabCache::free_slot(Slab& slab) {
    std::size_t word = 0;
    if (is_careful()) [[unlikely]] {
        // The next one after the last, so that a slot that was freed rests.
        const std::size_t from = (slab.last_slot + 1) % kMaxObjectsPerSlab;
        word = from / 64;
        std::uint64_t candidates = ~slab.taken[word] & (~std::uint64_t{0} << (from % 64));
        while (candidates == 0) {
            word = (word + 1) % slab.taken.size();
            candidates = ~slab.taken[word];
        }
        slab.last_slot = word * 64 + static_cast<std::size_t>(std::countr_zero(candidates));
        return slab.last_slot;
    }
    while (slab.taken[word] == ~std::uint64_t{0}) {
        ++word;
    }
    return word * 64 + static_cast<std::size_t>(std::countr_one(slab.taken[word]));
}

void SlabCache::note_given_out(std::byte* object) const {
    note_object_given_out(object, object_bytes_);
    const auto fill = junk();
    if (!fill.has_value()) {
        return;
    }
    if (const auto change = first_change({object, object_bytes_}, *fill); change.has_value()) {
        Line<kMessageBytes> line;
        line << "a free object of " << name_ << " was written to: byte " << *change << " of " << object_bytes_
             << " at " << hex(reinterpret_cast<std::uint64_t>(object)) << " is "
             << hex(std::to_integer<std::uint64_t>(object[*change])) << " instead of "
             << hex(std::to_integer<std::uint64_t>(*fill));
        fatal(line.text());
    }
}

void SlabCache::note_freed(void* object) const {
    if (const auto fill = junk(); fill.has_value()) {
        std::memset(object, std::to_integer<int>(*fill), object_bytes_);
    }
    note_object_freed(object, object_bytes_);
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
    note_freed(object);
    if (slab.used == slab.capacity) {
        link(slab);
    }
    slab.taken[index / 64] &= ~bit;
    --slab.used;
    --in_use_;
    if (slab.used == 0) {
        unlink(slab);
        slab.owner = nullptr;
        note_slab_ended(&slab, slab_bytes());
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
    if (const auto fill = junk(); fill.has_value()) {
        std::memset(reinterpret_cast<std::byte*>(slab) + kHeaderBytes, std::to_integer<int>(*fill),
                    slab_bytes() - kHeaderBytes);
    }
#ifdef NEURON_KASAN
    slab->shape = {.name = name_,
                   .first = reinterpret_cast<std::uintptr_t>(slab) + kHeaderBytes,
                   .object_bytes = object_bytes_,
                   .stride = stride_};
    note_slab(slab, slab_bytes(), slab->shape);
#endif
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
