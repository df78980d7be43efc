// SPDX-License-Identifier: MIT
// Stands in for kernel/arch/riscv64/cpu.hpp when the dispatcher runs on the host: the same names, on the
// harts of the explorer or of the whole kernel's tests (machine.cpp of each).
#pragma once

#include <array>
#include <cstdint>

#include "arch/riscv64/trap_frame.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"

namespace kernel::arch {

struct CpuLocal {
    std::uint64_t entry_ticks{0};
    CpuId cpu{};
    bool is_only{false};
    HartId hart{};
    void* scheduling{nullptr};
};
extern std::array<CpuLocal, kMaxCpus> cpu_locals;
[[nodiscard]] CpuLocal& cpu_local();

[[nodiscard]] std::uint64_t read_ticks();
[[nodiscard]] std::uint64_t ticks_to_ns(std::uint64_t ticks);

// Lets the other harts go on until an interrupt is pending here.
void wait_for_interrupt();
void rest_until(Instant when);
inline constexpr std::uint64_t kPendingSoftware = 1U << 1;
inline constexpr std::uint64_t kPendingTimer = 1U << 5;
inline constexpr std::uint64_t kPendingExternal = 1U << 9;
[[nodiscard]] std::uint64_t pending_interrupts();
void acknowledge_ipi();

[[nodiscard]] bool fp_is_dirty();
void fp_set_clean();

// Programs go on where exit_to_user() was called.
[[nodiscard]] inline TrapFrame* resume(TrapFrame& frame) {
    return &frame;
}

}  // namespace kernel::arch
