// SPDX-License-Identifier: MIT
// What siginfo_t says of one signal (sigaction(2)): its code and the two words every kind of signal needs at
// most. Laid out as on riscv64 Linux (include/uapi/asm-generic/siginfo.h).
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "lib/ids.hpp"
#include "nexus_abi/linux.hpp"

namespace kernel::task {

inline constexpr std::uint32_t kSignalCount = 64;  // signals are 1..64

namespace signal {

// SignalInfo::code
inline constexpr std::int32_t kFromUser = 0;        // SI_USER: kill
inline constexpr std::int32_t kFromQueue = -1;      // SI_QUEUE: rt_sigqueueinfo
inline constexpr std::int32_t kFromTimer = -2;      // SI_TIMER
inline constexpr std::int32_t kFromThread = -6;     // SI_TKILL: tkill, tgkill
inline constexpr std::int32_t kFromKernel = 0x80;   // SI_KERNEL
inline constexpr std::int32_t kChildExited = 1;     // CLD_EXITED
inline constexpr std::int32_t kChildKilled = 2;     // CLD_KILLED
inline constexpr std::int32_t kChildStopped = 5;    // CLD_STOPPED
inline constexpr std::int32_t kChildContinued = 6;  // CLD_CONTINUED
inline constexpr std::int32_t kNotMapped = 1;       // SEGV_MAPERR
inline constexpr std::int32_t kNotAllowed = 2;      // SEGV_ACCERR
inline constexpr std::int32_t kMisaligned = 1;      // BUS_ADRALN
inline constexpr std::int32_t kNoObject = 2;        // BUS_ADRERR
inline constexpr std::int32_t kIllegalOpcode = 1;   // ILL_ILLOPC
inline constexpr std::int32_t kBreakpoint = 1;      // TRAP_BRKPT

}  // namespace signal

struct SignalInfo {
    std::int32_t code{0};     // SI_*, CLD_*, SEGV_* ...
    std::uint64_t first{0};   // bytes 16..23: pid and uid, an address, or a timer's id and overrun
    std::uint64_t second{0};  // bytes 24..31: a child's status, or the value that was sent along

    // kill, tgkill, rt_sigqueueinfo: who sent it, and with what. There is one user, 0.
    [[nodiscard]] static constexpr SignalInfo sent(std::int32_t code, TaskId sender,
                                                   std::uint64_t value = 0) {
        return {.code = code, .first = sender.value(), .second = value};
    }
    // SIGCHLD. `status`: exit code or signal.
    [[nodiscard]] static constexpr SignalInfo of_child(std::int32_t code, TaskId child, std::int32_t status) {
        return {.code = code, .first = child.value(), .second = static_cast<std::uint32_t>(status)};
    }
    // A fault of an instruction. `address`: si_addr.
    [[nodiscard]] static constexpr SignalInfo fault(std::int32_t code, std::uint64_t address) {
        return {.code = code, .first = address, .second = 0};
    }
    // Of a timer. `overrun`: how many more times it went off before the signal was taken.
    [[nodiscard]] static constexpr SignalInfo of_timer(std::uint32_t id, std::uint32_t overrun,
                                                       std::uint64_t value) {
        return {.code = signal::kFromTimer, .first = id | std::uint64_t{overrun} << 32, .second = value};
    }
};

[[nodiscard]] constexpr nexus_abi::siginfo to_siginfo(std::uint32_t number, const SignalInfo& info) {
    std::array<std::uint64_t, 16> words{number, static_cast<std::uint32_t>(info.code), info.first,
                                        info.second};
    return std::bit_cast<nexus_abi::siginfo>(words);
}
// What a program sends along; what lies beyond the two words is not kept.
[[nodiscard]] constexpr SignalInfo from_siginfo(const nexus_abi::siginfo& from) {
    const auto words = std::bit_cast<std::array<std::uint64_t, 16>>(from);
    return {.code = from.code, .first = words[2], .second = words[3]};
}

}  // namespace kernel::task
