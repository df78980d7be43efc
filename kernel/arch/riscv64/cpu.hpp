// SPDX-License-Identifier: MIT
// Hart control of riscv64 beyond arch/contract.hpp: used by boot, bring-up and the dispatcher's idle loop.
#pragma once

#include <cstdint>

#include "arch/riscv64/cpu_local.hpp"
#include "arch/riscv64/csr.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"

namespace kernel::arch {

// How the one-shot timer is set.
enum class TimerPath : std::uint8_t {
    Stimecmp,   // Sstc, on every hart
    Firmware,   // SBI TIME
    LegacyCall  // SBI 0.1
};
// Sets the counter's frequency and the zero of now(). Pre: called once, before other harts start; 0 <
// timebase_hz <= 1 GHz.
void configure_time(std::uint64_t timebase_hz, TimerPath path);

// How zero_page() works from now on: with cbo.zero on blocks of this size, which every hart has; 0: by plain
// stores. Pre: no other hart runs.
void configure_page_zeroing(std::uint32_t block_bytes);

// Where the firmware put the kernel image. Set once by the boot hart.
void set_image_base(PhysAddr base);
[[nodiscard]] PhysAddr image_base();
// Where an object of the kernel image lies.
[[nodiscard]] PhysAddr image_physical(const void* object);

// The largest ASID the harts implement, found by writing ones to satp.ASID (Privileged Architecture, satp); 0
// = none.
[[nodiscard]] std::uint16_t probe_highest_asid();

// Ticks of the counter, for cheap interval measurements; ticks_to_ns converts a difference.
[[nodiscard]] inline std::uint64_t read_ticks() {
    std::uint64_t ticks;
    asm volatile("rdtime %0" : "=r"(ticks));
    return ticks;
}
[[nodiscard]] std::uint64_t ticks_to_ns(std::uint64_t ticks);
[[nodiscard]] std::uint64_t timebase_hz();

// Waits until an interrupt is pending (they stay masked: nothing is taken).
inline void wait_for_interrupt() {
    asm volatile("wfi" ::: "memory");
}
// Waits until then, or until an interrupt is pending: asleep where the hart sets its timer by itself, else
// awake. The timer is set to anything afterwards.
void rest_until(Instant when);

// Pending sources, as bits of sip.
inline constexpr std::uint64_t kPendingSoftware = riscv64::interrupt_bit::kSoftware;
inline constexpr std::uint64_t kPendingTimer = riscv64::interrupt_bit::kTimer;
inline constexpr std::uint64_t kPendingExternal = riscv64::interrupt_bit::kExternal;
[[nodiscard]] std::uint64_t pending_interrupts();
void acknowledge_ipi();

// sstatus.FS of the running user program: dirty means the FP registers differ from their last saved copy.
[[nodiscard]] bool fp_is_dirty();
// Sets FS to Clean: the registers equal the saved copy; the next FP write makes it Dirty again.
void fp_set_clean();

// Continues in `function` on another stack; the current one is abandoned.
extern "C" [[noreturn]] void arch_call_on_stack(std::uint64_t stack_top, void (*function)());
// Resumes a frame; the last step of booting a hart.
extern "C" [[noreturn]] void return_to_user(TrapFrame* frame);
// For who would return `frame` to those that do that next: does it at once. All registers of the kernel are
// given up with its stack, so nobody in between need restore any.
[[noreturn]] inline TrapFrame* resume(TrapFrame& frame) {
    return_to_user(&frame);
}

}  // namespace kernel::arch
