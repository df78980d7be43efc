// SPDX-License-Identifier: MIT
// What the firmware can do, asked once at boot, and what the kernel does without: no HSM, IPI or RFENCE: one
// hart; no TIME: the timer call of SBI 0.1; no SRST: the machine parks instead of going off. Pure but for the
// calls. Concurrency: immutable after boot.
#pragma once

#include <cstdint>
#include <string_view>

#include "arch/riscv64/sbi.hpp"
#include "lib/fixed_vector.hpp"

namespace kernel::arch::sbi {

struct Firmware {
    SpecVersion spec{};
    std::uint64_t implementation{0};
    std::uint64_t implementation_version{0};
    bool has_time{false};
    bool has_ipi{false};
    bool has_rfence{false};
    bool has_hart_state{false};
    bool has_reset{false};
    bool has_debug_console{false};

    // Other harts can be started, interrupted and made to drop translations.
    [[nodiscard]] bool can_run_several_harts() const { return has_hart_state && has_ipi && has_rfence; }
};

[[nodiscard]] Firmware probe_firmware();
// SBI 4.9, table 3; empty for one this kernel has not heard of.
[[nodiscard]] std::string_view implementation_name(std::uint64_t id);
// The names of what is not there, as the specification spells them.
[[nodiscard]] FixedVector<std::string_view, 6> missing_extensions(const Firmware& firmware);

}  // namespace kernel::arch::sbi
