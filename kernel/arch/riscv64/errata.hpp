// SPDX-License-Identifier: MIT
// Which cores have which defect, by the ids the firmware gives of them (SBI 4.4 to 4.6). The ranges are
// SiFive's, as Linux has them (arch/riscv/errata/sifive/errata.c). The table is pure; the harts' findings are
// collected by note_errata(). Concurrency: atomic; written by each hart before it takes tasks.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace kernel::arch {

struct CoreIds {
    std::uint64_t vendor{0};
    std::uint64_t architecture{0};
    std::uint64_t implementation{0};
};

enum class Erratum : std::uint8_t {
    // CIP-453: stval after an instruction fault is not sign-extended.
    FaultAddressNotExtended,
    // CIP-1200: sfence.vma with an address or an ASID may leave stale translations.
    NarrowFenceIncomplete,
};

struct ErratumRow {
    Erratum erratum;
    std::string_view name;
    bool (*is_affected)(const CoreIds&);
};

namespace errata {
inline constexpr std::uint64_t kSifive = 0x489;
inline constexpr std::uint64_t kSeries7 = 0x8000'0000'0000'0007;
inline constexpr std::uint64_t kSeries5 = 1;
}  // namespace errata

inline constexpr std::array<ErratumRow, 2> kErrata{{
    {Erratum::FaultAddressNotExtended, "CIP-453",
     [](const CoreIds& core) {
         return core.vendor == errata::kSifive && core.architecture == errata::kSeries7 &&
                core.implementation >= 0x20181004 && core.implementation <= 0x20191105;
     }},
    {Erratum::NarrowFenceIncomplete, "CIP-1200",
     [](const CoreIds& core) {
         return core.vendor == errata::kSifive &&
                (core.architecture == errata::kSeries7 || core.architecture == errata::kSeries5) &&
                (core.implementation & 0xff'ffff) <= 0x20'0630 && core.implementation != 0x120'0626;
     }},
}};

// A set of errata, as a bit each.
using ErrataSet = std::uint32_t;
[[nodiscard]] constexpr ErrataSet bit_of(Erratum erratum) {
    return ErrataSet{1} << static_cast<std::uint32_t>(erratum);
}
[[nodiscard]] constexpr ErrataSet find_errata(const CoreIds& core) {
    ErrataSet found = 0;
    for (const ErratumRow& row : kErrata) {
        found |= row.is_affected(core) ? bit_of(row.erratum) : 0;
    }
    return found;
}

// Sv39 addresses repeat bit 38 above it.
[[nodiscard]] constexpr std::uint64_t extend_fault_address(std::uint64_t stval) {
    constexpr std::uint64_t kTopBit = std::uint64_t{1} << 38;
    return (stval & kTopBit) != 0 ? stval | ~(kTopBit - 1) : stval;
}

// From now on the kernel works around these, on every hart.
void note_errata(ErrataSet found);
// Of any hart so far.
[[nodiscard]] bool has_erratum(Erratum erratum);

}  // namespace kernel::arch
