// SPDX-License-Identifier: MIT
// Shadow memory, as of AddressSanitizer (Serebryany et al., USENIX ATC 2012): each granule of eight bytes of
// RAM has a byte that says how many of them may be used now, or why none. In a build with NEURON_KASAN the
// compiler calls mm/shadow_hooks.cpp before each access to memory, which looks there; the allocators say what
// may be used. An eighth of RAM, and a 64th for who had which frame, is set aside at boot.
//
// Not watched: stacks, the kernel's image with its globals, assembly; and the allocators themselves,
// lib/string.cpp and the shadow, which have to touch what nobody else may (kernel/mm/CMakeLists.txt). Copies
// and fills by lib/string.cpp are looked at as a whole, before.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "mm/layout.hpp"

namespace kernel::mm {

#ifdef NEURON_KASAN
inline constexpr bool kHasShadow = true;
#else
inline constexpr bool kHasShadow = false;
#endif

inline constexpr std::size_t kGranule = 8;

// 1 to 7: that many bytes from the granule's start may be used.
enum class Shadow : std::uint8_t {
    Usable = 0,
    FreeFrame = 0xf1,
    FreeObject = 0xf2,
    NoObject = 0xf3,  // a slot of a slab that was never given out
    Redzone = 0xf4,   // behind an object, to the next one
    Header = 0xf5,    // of a slab
};

// The shadow of one stretch of memory. Concurrency: a granule's shadow changes when its owner does; reading
// one that changes gives the old or the new.
class ShadowMap {
  public:
    constexpr ShadowMap() = default;
    // `shadow` points to bytes / kGranule bytes; all of [start, start + bytes) is Usable. Pre: both multiples
    // of kGranule.
    void init(std::uintptr_t start, std::uint64_t bytes, std::uint8_t* shadow);
    [[nodiscard]] bool covers(std::uintptr_t address) const { return address - start_ < bytes_; }
    // Nothing of [address, address + bytes) may be used. Pre: granules of the stretch.
    void forbid(std::uintptr_t address, std::uint64_t bytes, Shadow why);
    // All of it may be used; of the last granule no byte behind it. Pre: address is a multiple of kGranule.
    void allow(std::uintptr_t address, std::uint64_t bytes);
    // The first byte of [address, address + bytes) that may not be used; what lies beyond the stretch may.
    [[nodiscard]] std::optional<std::uintptr_t> first_forbidden(std::uintptr_t address,
                                                                std::uint64_t bytes) const;
    // Pre: covers(address).
    [[nodiscard]] std::uint8_t at(std::uintptr_t address) const {
        return shadow_[(address - start_) / kGranule];
    }

  private:
    std::uintptr_t start_{0};
    std::uint64_t bytes_{0};
    std::uint8_t* shadow_{nullptr};
};

// Return addresses of who called, innermost first; 0: no more are known.
using CallSites = std::array<std::uint64_t, 3>;

// What is kept behind each object, in its redzone.
struct ObjectRecord {
    CallSites allocated{};
    CallSites freed{};
};

#ifdef NEURON_KASAN
inline constexpr std::size_t kRedzoneBytes = sizeof(ObjectRecord);

// Where a slab's objects lie.
struct SlabShape {
    std::string_view name;  // static text
    std::uintptr_t first{0};
    std::size_t object_bytes{0};
    std::size_t stride{0};  // the redzone included
};

// Sets the shadow of this free memory aside, at its end, and returns the rest. Up to eight stretches are
// watched. Boot, one hart, before FrameAllocator::init().
[[nodiscard]] PhysRange set_up_shadow(PhysRange free);
// Each access is looked at from now on. Boot, one hart.
void start_watching();
// One access by the code at `pc`: reports and stops the machine where it may not be.
void check_access(std::uintptr_t address, std::uint64_t bytes, bool is_write, std::uint64_t pc);

void note_block_given_out(PhysAddr block, std::uint64_t bytes);
void note_block_freed(PhysAddr block, std::uint64_t bytes);
// A block, just given out, is a slab from now on, until it is freed.
void note_slab(void* slab, std::uint64_t bytes, const SlabShape& shape);
// It is a block like any other again, in use.
void note_slab_ended(void* slab, std::uint64_t bytes);
void note_object_given_out(void* object, std::size_t object_bytes);
void note_object_freed(void* object, std::size_t object_bytes);
#else
inline constexpr std::size_t kRedzoneBytes = 0;
inline void note_block_given_out(PhysAddr, std::uint64_t) {}
inline void note_block_freed(PhysAddr, std::uint64_t) {}
inline void note_slab_ended(void*, std::uint64_t) {}
inline void note_object_given_out(void*, std::size_t) {}
inline void note_object_freed(void*, std::size_t) {}
#endif

}  // namespace kernel::mm
