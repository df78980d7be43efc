// SPDX-License-Identifier: MIT
// Kernel objects of one type, from slabs: a slab is a small block of frames with a header that knows which of
// its slots are taken. A slab whose last object goes returns its frames at once, so an idle kernel owns what
// it needs and a test can compare frame counts exactly.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <utility>

#include "lib/result.hpp"
#include "mm/shadow.hpp"
#include "sync/spinlock.hpp"

namespace kernel::mm {

// The untyped part. Concurrency: guarded by lock_.
class SlabCache {
  public:
    // Pre: object_bytes >= 16 and <= 3800; alignment is a power of two <= 64.
    constexpr SlabCache(std::size_t object_bytes, std::size_t alignment, std::string_view name = "unnamed")
        : name_{name},
          object_bytes_{object_bytes},
          stride_{stride_for(object_bytes, alignment)},
          order_{order_for(stride_)} {}
    SlabCache(const SlabCache&) = delete;
    SlabCache& operator=(const SlabCache&) = delete;

    // The size becomes this one. Pre: as of the constructor; no object was ever allocated.
    void set_object_bytes(std::size_t object_bytes, std::size_t alignment) EXCLUDES(lock_);
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
        std::size_t last_slot;  // given out last
#ifdef NEURON_KASAN
        SlabShape shape;
#endif
    };
    static_assert(sizeof(Slab) <= kHeaderBytes);

    static constexpr std::uint32_t kMaxSlabOrder = 3;

    static constexpr std::size_t stride_for(std::size_t object_bytes, std::size_t alignment) {
        const std::size_t unit = kHasShadow ? std::max(alignment, kGranule) : alignment;
        return (object_bytes + kRedzoneBytes + unit - 1) / unit * unit;
    }
    // The smallest block in which an object takes at most a sixteenth more than it needs, or the largest
    // there is: eight frames, so that one object that stays keeps no more than that.
    static constexpr std::uint32_t order_for(std::size_t stride) {
        for (std::uint32_t order = 0; order < kMaxSlabOrder; ++order) {
            const std::size_t bytes = std::size_t{4096} << order;
            const std::size_t objects = (bytes - kHeaderBytes) / stride;
            if (objects != 0 && bytes / objects <= stride + stride / 16) {
                return order;
            }
        }
        return kMaxSlabOrder;
    }
    [[nodiscard]] std::size_t slab_bytes() const { return std::size_t{4096} << order_; }
    [[nodiscard]] Result<void> grow() REQUIRES(lock_);
    [[nodiscard]] static std::size_t free_slot(Slab& slab);
    void note_given_out(std::byte* object) const;
    void note_freed(void* object) const;
    void link(Slab& slab) REQUIRES(lock_);
    void unlink(Slab& slab) REQUIRES(lock_);

    mutable SpinLock lock_{LockRank::Slab};
    std::string_view name_;                       // static text, for reports
    std::size_t object_bytes_;                    // changes before the first object only
    std::size_t stride_;                          // as object_bytes_
    std::uint32_t order_;                         // as stride_
    Slab* with_room_ GUARDED_BY(lock_){nullptr};  // full slabs are on no list
    std::uint64_t in_use_ GUARDED_BY(lock_){0};
};

// "kernel::task::Task", for reports.
template <class T>
[[nodiscard]] constexpr std::string_view type_name() {
    const std::string_view function{__PRETTY_FUNCTION__};
    const std::size_t begin = function.find("T = ") + 4;
    return function.substr(begin, function.find_first_of(";]", begin) - begin);
}

// Concurrency: any hart, with or without locks of a rank below Slab.
template <class T>
class ObjectPool {
  public:
    constexpr ObjectPool() : cache_{sizeof(T) < 16 ? 16 : sizeof(T), alignof(T), type_name<T>()} {}

    // Behind each object there are this many bytes for it, uninitialised; both together are whole cache
    // lines, so that harts that use different objects write to no common one. Pre: a multiple of alignof(T);
    // none was created yet.
    void set_tail_bytes(std::size_t bytes) { cache_.set_object_bytes(sizeof(T) + bytes, 64); }
    // NoMemory when there is none. Without arguments a T sets what its members say they begin with; nothing
    // is zeroed before.
    template <class... Arguments>
    [[nodiscard]] Result<T*> create(Arguments&&... arguments) {
        void* memory = TRY(cache_.allocate());
        if constexpr (sizeof...(Arguments) == 0) {
            return new (memory) T;
        } else {
            return new (memory) T(std::forward<Arguments>(arguments)...);
        }
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
