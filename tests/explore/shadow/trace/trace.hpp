// SPDX-License-Identifier: MIT
// The trace, off for good: each look at its switch would be one more step to explore, and nothing ever
// switches it.
#pragma once

#include <cstdint>
#include <span>

#include "lib/ids.hpp"
#include "lib/units.hpp"
#include "nexus_abi/trace.hpp"

namespace kernel::trace {

using Kind = nexus_abi::TraceKind;
using Fate = nexus_abi::TraceFate;

[[nodiscard]] constexpr bool is_on(std::uint32_t) {
    return false;
}
inline void put(Instant, Kind, std::uint32_t, std::uint32_t) {}
inline void write(Kind, std::uint32_t, std::uint32_t) {}
inline void write_at(Instant, Kind, std::uint32_t, std::uint32_t) {}
inline void write_name(std::uint32_t, std::span<const char>) {}
inline void note(Kind, std::uint32_t, std::uint32_t) {}
inline void note_at(Instant, Kind, std::uint32_t, std::uint32_t) {}

}  // namespace kernel::trace
