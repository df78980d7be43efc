// SPDX-License-Identifier: MIT
// Address space identifiers. A harts' TLB tags translations with one, so that a switch need not flush. 0 is
// shared by all spaces that found none free, and means that every switch flushes; harts without ASIDs know
// only 0. Reuse needs no flush here: AddressSpace::activate() drops an ASID's translations on each hart it
// comes to first. Concurrency: atomic.
#pragma once

#include <cstdint>

namespace kernel::mm {

inline constexpr std::uint16_t kSharedAsid = 0;

// The highest ASID that every hart implements; 0 until called. Pre: no ASID is in use.
void set_highest_asid(std::uint16_t highest);
// A free ASID, or kSharedAsid.
[[nodiscard]] std::uint16_t take_asid();
// Pre: asid came from take_asid() and no hart runs under it.
void return_asid(std::uint16_t asid);

}  // namespace kernel::mm
