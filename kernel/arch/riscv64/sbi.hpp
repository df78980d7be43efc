// SPDX-License-Identifier: MIT
// The supervisor binary interface: every firmware call the kernel makes, typed, with SBI error codes mapped
// to Error. "SBI" below is the RISC-V Supervisor Binary Interface Specification 2.0 (1.0 for everything but
// DBCN). Needs nothing of the kernel but lib/, so it works from the first C++ instruction on. Errors, the
// same for every call: NotSupported (extension or function absent), InvalidArgument (SBI_ERR_INVALID_PARAM),
// AccessDenied, BadAddress, Exists (already available, started or stopped), NoMemory (no shared memory), Io
// (any other). Concurrency: each function may be called on any hart at any time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "lib/ids.hpp"
#include "lib/result.hpp"

namespace kernel::arch::sbi {

// Extension ids: SBI chapters 4 to 12; the spec spells them in ASCII.
enum class Extension : std::uint64_t {
    LegacySetTimer = 0x00,
    LegacyPutchar = 0x01,
    LegacyGetchar = 0x02,
    Base = 0x10,
    DebugConsole = 0x4442434e,  // "DBCN"
    Hsm = 0x48534d,             // "HSM": hart state management
    Ipi = 0x735049,             // "sPI"
    Rfence = 0x52464e43,        // "RFNC"
    SystemReset = 0x53525354,   // "SRST"
    Time = 0x54494d45,          // "TIME"
};

// What ecall returns (SBI chapter 3): an SBI error code, 0 for success, and a value. Legacy calls return in
// `error`.
struct RawResult {
    std::int64_t error;
    std::int64_t value;
};

struct RawArguments {
    std::uint64_t a0{0};
    std::uint64_t a1{0};
    std::uint64_t a2{0};
    std::uint64_t a3{0};
    std::uint64_t a4{0};
};

// The ecall itself: sbi_call.cpp on the target; tests provide a firmware of their own.
RawResult raw_call(Extension extension, std::uint64_t function, const RawArguments& arguments);

// ---- Base (SBI 4) ----

struct SpecVersion {
    std::uint32_t major;
    std::uint32_t minor;
};
[[nodiscard]] SpecVersion spec_version();
// 1 = OpenSBI (SBI 4.9, table 3).
[[nodiscard]] std::uint64_t implementation_id();
// OpenSBI: major << 16 | minor.
[[nodiscard]] std::uint64_t implementation_version();
// True when the firmware implements the extension. Not for the legacy ones: they cannot be probed everywhere.
[[nodiscard]] bool has_extension(Extension extension);

// The calling hart's mvendorid, marchid and mimpid (SBI 4.4 to 4.6); 0: not told.
[[nodiscard]] std::uint64_t vendor_id();
[[nodiscard]] std::uint64_t architecture_id();
[[nodiscard]] std::uint64_t implementation_of_core();

// ---- Timer (SBI 6; legacy SBI 5.1) ----

// Arms this hart's timer for `deadline_ticks` of the time CSR and clears a pending timer interrupt; ~0
// disarms.
Result<void> set_timer(std::uint64_t deadline_ticks);
// The same by SBI 0.1.
void legacy_set_timer(std::uint64_t deadline_ticks);

// ---- Inter-processor interrupts (SBI 7) and remote fences (SBI 8) ----

// The calls below take any set of harts; ids more than 63 apart take one firmware call per group. An empty
// span does nothing. The first error stops the loop and is returned.

// Raises a software interrupt on each hart.
Result<void> send_ipi(std::span<const HartId> harts);
// fence.i on each hart; complete on return.
Result<void> remote_fence_i(std::span<const HartId> harts);
// sfence.vma of [start, start + bytes) on each hart; complete on return. bytes == ~0 or start == bytes == 0:
// everything.
Result<void> remote_sfence_vma(std::span<const HartId> harts, VirtAddr start, std::uint64_t bytes);
// The same, one address space only.
Result<void> remote_sfence_vma_asid(std::span<const HartId> harts, VirtAddr start, std::uint64_t bytes,
                                    std::uint16_t asid);

// ---- Hart state management (SBI 9) ----

enum class HartState : std::uint8_t {
    Started = 0,
    Stopped = 1,
    StartPending = 2,
    StopPending = 3,
    Suspended = 4,
    SuspendPending = 5,
    ResumePending = 6,
};

// Asks the firmware to start `hart` at `entry` (physical, MMU off, interrupts off) with a0 = hart id, a1 =
// opaque. Success is no promise that the hart arrives: bound the wait.
Result<void> start_hart(HartId hart, PhysAddr entry, std::uint64_t opaque);
// InvalidArgument: the firmware does not know the hart.
[[nodiscard]] Result<HartState> hart_state(HartId hart);
// Stops the calling hart; returns only on failure.
Result<void> stop_this_hart();

// ---- System reset (SBI 10) ----

enum class ResetType : std::uint32_t { Shutdown = 0, ColdReboot = 1, WarmReboot = 2 };
enum class ResetReason : std::uint32_t { None = 0, SystemFailure = 1 };
// Returns only on failure (NotSupported where the board cannot).
Result<void> reset(ResetType type, ResetReason reason);

// ---- Console (SBI 12; legacy SBI 5) ----

// Writes up to `bytes` bytes at physical address `start`; returns how many the firmware took, without
// waiting.
[[nodiscard]] Result<std::size_t> debug_console_write(PhysAddr start, std::size_t bytes);
// Reads up to `bytes` typed bytes to physical address `start`; returns how many there were, without waiting.
[[nodiscard]] Result<std::size_t> debug_console_read(PhysAddr start, std::size_t bytes);
// Writes one byte; the firmware may wait until the UART takes it.
Result<void> debug_console_write_byte(char byte);
// SBI 0.1 calls, there in every OpenSBI; putchar waits until the UART takes the byte.
void legacy_putchar(char byte);
// The next byte typed, or nothing; never waits.
[[nodiscard]] std::optional<char> legacy_getchar();

// ---- Hart masks (SBI 3.1) ----

// One firmware call's worth of harts: bit i of mask is hart base + i.
struct HartGroup {
    std::uint64_t mask;
    std::uint64_t base;
};

// Calls f(HartGroup) -> Result<void> for groups that cover each hart of `harts` once; stops at the first
// error. Any order, duplicates allowed.
template <class F>
Result<void> for_each_hart_group(std::span<const HartId> harts, F&& f) {
    std::uint64_t from = 0;
    while (true) {
        constexpr auto kNone = std::numeric_limits<std::uint64_t>::max();
        std::uint64_t base = kNone;  // ~0 is not a hart id: the calls use it for "all harts"
        for (const HartId hart : harts) {
            if (hart.value() >= from && hart.value() < base) {
                base = hart.value();
            }
        }
        if (base == kNone) {
            return {};
        }
        HartGroup group{.mask = 0, .base = base};
        for (const HartId hart : harts) {
            if (hart.value() >= base && hart.value() - base < 64) {
                group.mask |= std::uint64_t{1} << (hart.value() - base);
            }
        }
        TRY(f(group));
        if (base > kNone - 64) {
            return {};
        }
        from = base + 64;
    }
}

}  // namespace kernel::arch::sbi
