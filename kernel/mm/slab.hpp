// SPDX-License-Identifier: MIT
// Kernel objects of one type, from slabs: a slab is a small block of frames with a header that knows which of
// its slots are taken. A slab whose last object goes returns its frames at once, so an idle kernel owns what
// it needs and a test can compare frame counts exactly.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "lib/result.hpp"
#include "sync/spinlock.hpp"

namespace kernel::mm {

// The untyped part. Concurrency: guarded by lock_.
class SlabCache {
  public:
    // Pre: object_bytes >= 16 and <= 3800; alignment is a power of two <= 64.
    constexpr SlabCache(std::size_t object_bytes, std::size_t alignment)
        : stride_{(object_bytes + alignment - 1) / alignment * alignment}, order_{order_for(stride_)} {}
    SlabCache(const SlabCache&) = delete;
    SlabCache& operator=(const SlabCache&) = delete;

    // Uninitialised memory for one object.
    [[nodiscard]] Result<void*> allocate() EXCLUDES(lock_);
    // Pre: object came from allocate() of this cache. Freeing twice stops the machine.
    void free(void* object) EXCLUDES(lock_);
    // Objects out now.
    [[nodiscard]] std::uint64_t in_use() const EXCLUDES(lock_);

  private:
    static constexpr std::size_t kMaxObjectsPerSlab = 256;
    static constexpr std::size_t kHeaderBytes = 128;

    struct Slab {
        SlabCache* owner;
        Slab* next;
        Slab* previous;
        std::uint32_t used;
        std::uint32_t capacity;
        std::array<std::uint64_t, kMaxObjectsPerSlab / 64> taken;
    };
    static_assert(sizeof(Slab) <= kHeaderBytes);

    // The smallest block that holds three objects, so that at most a quarter of it is waste.
    static constexpr std::uint32_t order_for(std::size_t stride) {
        std::uint32_t order = 0;
        while ((std::size_t{4096} << order) < kHeaderBytes + 3 * stride) {
            ++order;
        }
        return order;
    }
    [[nodiscard]] std::size_t slab_bytes() const { return std::size_t{4096} << order_; }
    [[nodiscard]] Result<void> grow() REQUIRES(lock_);
    void link(Slab& slab) REQUIRES(lock_);
    void unlink(Slab& slab) REQUIRES(lock_);

    mutable SpinLock lock_{LockRank::Slab};
    const std::size_t stride_;
    const std::uint32_t order_;
    Slab* with_room_ GUARDED_BY(lock_){nullptr};  // full slabs are on no list
    std::uint64_t in_use_ GUARDED_BY(lock_){0};
};

// Concurrency: any hart, with or without locks of a rank below Slab.
template <class T>
class ObjectPool {
  public:
    constexpr ObjectPool() : cache_{sizeof(T) < 16 ? 16 : sizeof(T), alignof(T)} {}

    // NoMemory when there is none.
    template <class... Arguments>
    [[nodiscard]] Result<T*> create(Arguments&&... arguments) {
        void* memory = TRY(cache_.allocate());
        return new (memory) T(std::forward<Arguments>(arguments)...);
    }
    // Pre: object came from create() of this pool.
    void destroy(T* object) {
        object->~T();
        cache_.free(object);
    }
    [[nodiscard]] std::uint64_t in_use() const { return cache_.in_use(); }

  private:
    static_assert(alignof(T) <= 64);
    SlabCache cache_;
};

}  // namespace kernel::mm
