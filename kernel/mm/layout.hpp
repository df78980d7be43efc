// SPDX-License-Identifier: MIT
// The virtual address map (RISC-V Privileged Architecture, chapter "Sv39": 39-bit addresses, sign-extended; a
// root entry spans 1 GiB). Everything is a constant; only the physical addresses behind it differ between
// machines.
//
//   from                    to (exclusive)          root     what
//   0x0000'0000'0000'0000   0x0000'0000'0000'1000   0        never mapped: a null pointer faults
//   0x0000'0000'0000'1000   0x0000'003f'ff00'0000   0-255    program, its break, mappings from the top down
//   0x0000'003f'ff00'0000   0x0000'003f'ffff'f000   255      main thread's stack
//   0x0000'003f'ffff'f000   0x0000'0040'0000'0000   255      where signal handlers return to, R-X
//   0x0000'0040'0000'0000   0xffff'ffc0'0000'0000   -        not addressable in Sv39
//   0xffff'ffc0'0000'0000   0xffff'ffe0'0000'0000   256-383  physmap: RAM at base + its address, RW- or R--
//   0xffff'ffe0'0000'0000   0xffff'ffe0'4000'0000   384      device registers, RW-
//   0xffff'ffe0'4000'0000   0xffff'ffe0'8000'0000   385      hart stacks, RW-, each above an unmapped guard
//   0xffff'ffff'8000'0000   0xffff'ffff'ffff'ffff   510-511  kernel image: text R-X, rodata R--, data RW-
#pragma once

#include <cstdint>

#include "lib/ids.hpp"

namespace kernel::mm {

inline constexpr std::uint64_t kPageShift = 12;
inline constexpr std::uint64_t kPageSize = std::uint64_t{1} << kPageShift;
inline constexpr std::uint64_t kMegaPageSize = kPageSize << 9;      // 2 MiB
inline constexpr std::uint64_t kGigaPageSize = kMegaPageSize << 9;  // 1 GiB

inline constexpr VirtAddr kUserBase{kPageSize};
inline constexpr VirtAddr kUserTop{std::uint64_t{1} << 38};

// The main thread's stack grows down from kUserStackTop inside a reservation of kUserStackBytes
// (RLIMIT_STACK). Between its lower end and kMmapTop lies a gap that is never handed out.
inline constexpr VirtAddr kUserStackTop{kUserTop.value() - kPageSize};
inline constexpr std::uint64_t kUserStackBytes = std::uint64_t{8} << 20;
inline constexpr VirtAddr kMmapTop{kUserTop.value() - (std::uint64_t{16} << 20)};
// Position independent programs begin here, two thirds up as on Linux: their break grows upwards below what
// mmap places.
inline constexpr VirtAddr kProgramBase{0x2a'aaaa'a000};
// Mappings without a wish are never placed below this.
inline constexpr VirtAddr kMmapBottom{0x10000};

inline constexpr VirtAddr kPhysmapBase{0xffff'ffc0'0000'0000};
inline constexpr std::uint64_t kPhysmapBytes = std::uint64_t{128} << 30;
inline constexpr VirtAddr kMmioBase{0xffff'ffe0'0000'0000};
inline constexpr std::uint64_t kMmioBytes = kGigaPageSize;
inline constexpr VirtAddr kStacksBase{0xffff'ffe0'4000'0000};
inline constexpr std::uint64_t kStacksBytes = kGigaPageSize;
inline constexpr VirtAddr kImageBase{0xffff'ffff'8000'0000};
inline constexpr VirtAddr kKernelHalf = kPhysmapBase;

// A hart stack and the slot it lies at the top of; the rest of the slot stays unmapped. The slot is a power
// of two so that an overflow is recognised from the address alone.
inline constexpr std::uint64_t kHartStackBytes = 16 * 1024;
inline constexpr std::uint64_t kHartStackSlotBytes = 64 * 1024;

static_assert(kMmapTop.value() + kUserStackBytes < kUserStackTop.value());
static_assert(kPhysmapBase.value() + kPhysmapBytes == kMmioBase.value());
static_assert(kMmioBase.value() + kMmioBytes == kStacksBase.value());

[[nodiscard]] constexpr std::uint64_t page_down(std::uint64_t value) {
    return value & ~(kPageSize - 1);
}
[[nodiscard]] constexpr VirtAddr page_down(VirtAddr va) {
    return VirtAddr{page_down(va.value())};
}
[[nodiscard]] constexpr PhysAddr page_down(PhysAddr pa) {
    return PhysAddr{page_down(pa.value())};
}
// Pre: value <= 2^64 - kPageSize.
[[nodiscard]] constexpr std::uint64_t page_up(std::uint64_t value) {
    return page_down(value + kPageSize - 1);
}
[[nodiscard]] constexpr std::uint64_t page_offset(std::uint64_t value) {
    return value & (kPageSize - 1);
}
[[nodiscard]] constexpr bool is_page_aligned(std::uint64_t value) {
    return page_offset(value) == 0;
}

// True when [start, start + bytes) lies wholly in what user space may map. Overflow-safe; true for bytes == 0
// inside.
[[nodiscard]] constexpr bool is_user_range(VirtAddr start, std::uint64_t bytes) {
    return start >= kUserBase && start <= kUserTop && bytes <= kUserTop - start;
}

// A range of physical memory, [start, start + bytes).
struct PhysRange {
    PhysAddr start;
    std::uint64_t bytes{0};
    [[nodiscard]] constexpr PhysAddr end() const { return start + bytes; }
};

}  // namespace kernel::mm
