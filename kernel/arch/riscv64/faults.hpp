// SPDX-License-Identifier: MIT
// Firmware and interrupts that misbehave on purpose: neuron.fault=KIND or KIND:N of debug kernels, where
// about one of N occasions goes wrong (default: each), by a generator that begins the same at each boot.
// docs/reliability.md says what the kernel makes of each. Concurrency: set() at boot, by one hart; happens()
// anywhere.
#pragma once

#include <cstdint>
#include <string_view>

namespace kernel::arch::faults {

enum class Kind : std::uint8_t {
    None,
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
};

#ifdef NEURON_DEBUG
// False, and nothing changes, when `text` names no kind or no number of occasions.
[[nodiscard]] bool set(std::string_view text);
// Whether this occasion goes wrong.
[[nodiscard]] bool happens(Kind kind);
#else
[[nodiscard]] constexpr bool set(std::string_view) {
    return false;
}
[[nodiscard]] constexpr bool happens(Kind) {
    return false;
}
#endif

}  // namespace kernel::arch::faults
