// SPDX-License-Identifier: MIT
// Firmware and interrupts that misbehave on purpose: neuron.fault=KIND[:N[:SEED]],... of debug kernels, where
// about one of N occasions goes wrong (default: each), by a generator of the kind's that begins with SEED
// (default 1) at each boot. docs/reliability.md says what the kernel makes of each. Concurrency: set() at
// boot, by one hart; happens() anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kernel::arch::faults {

enum class Kind : std::uint8_t {
    TimeCall,     // time: the firmware's answer to each call of that extension is an error
    IpiCall,      // ipi
    FenceCall,    // rfence
    HartCall,     // hsm
    ResetCall,    // srst
    ConsoleCall,  // dbcn
    HartAbsent,   // hart-absent: the firmware starts a hart that never comes
    IpiLost,      // ipi-lost: sent, and never arrives
    IpiDoubled,   // ipi-doubled
    IpiSpurious,  // ipi-spurious: one for the sender, too, that nobody meant
    TimerLate,    // timer-late: 300 us
    TimerEarly,   // timer-early: after half the time
    None,         // never happens
};
inline constexpr auto kKinds = static_cast<std::size_t>(Kind::None);
inline constexpr std::uint32_t kMaxInterval = 1'000'000;

// What set() could not read, and why, in words; both empty: nothing.
struct Mistake {
    std::string_view part;  // of what was read
    std::string_view why;   // static text
};

#ifdef NEURON_DEBUG
// These and no others from now on. After a mistake nothing has changed.
[[nodiscard]] Mistake set(std::string_view text);
// Whether this occasion goes wrong.
[[nodiscard]] bool happens(Kind kind);
#else
[[nodiscard]] constexpr Mistake set(std::string_view text) {
    return {.part = text, .why = "only debug kernels have faults"};
}
[[nodiscard]] constexpr bool happens(Kind) {
    return false;
}
#endif

}  // namespace kernel::arch::faults
