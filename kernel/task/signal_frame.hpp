// SPDX-License-Identifier: MIT
// What a handler finds on its stack and rt_sigreturn reads back: struct rt_sigframe of riscv64 Linux
// (arch/riscv/kernel/signal.c; arch/riscv/include/uapi/asm/{ucontext,sigcontext,ptrace}.h). C libraries and
// unwinders know this layout.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/riscv64/trap_frame.hpp"
#include "nexus_abi/linux.hpp"

namespace kernel::task {

using UserStack = nexus_abi::signal_stack;
inline constexpr std::uint32_t kStackInUse = 1;           // SS_ONSTACK
inline constexpr std::uint32_t kStackDisabled = 2;        // SS_DISABLE
inline constexpr std::uint32_t kStackDisarms = 1U << 31;  // SS_AUTODISARM
inline constexpr std::uint64_t kSmallestStack = 2048;     // MINSIGSTKSZ

struct SignalFrame {
    nexus_abi::siginfo info;
    // ucontext_t
    std::uint64_t flags;
    std::uint64_t link;
    UserStack stack;
    std::uint64_t mask;
    std::array<std::uint64_t, 15> mask_room;  // sigset_t may grow to 1024 bits
    std::uint64_t alignment;
    // mcontext_t
    arch::TrapFrame registers;  // pc, x1..x31: user_regs_struct
    std::array<std::uint64_t, 32> f;
    std::uint64_t fcsr;  // 32 bits
    // The rest of the largest FP state; its last words say which extensions' state follows: none.
    std::array<std::uint64_t, 33> room;
};
static_assert(sizeof(SignalFrame) == 128 + 960);
static_assert(offsetof(SignalFrame, mask) == 128 + 40);
static_assert(offsetof(SignalFrame, registers) == 128 + 176);
static_assert(offsetof(SignalFrame, f) == 128 + 176 + 256);

inline constexpr std::uint64_t kStackAlignmentMask = 15;  // RISC-V psABI

// Where the frame goes. `alternate`: the stack to use instead of sp, if bytes is not 0.
struct FramePlace {
    std::uint64_t address{0};
    bool fits{true};  // false: it would leave the alternate stack sp is on
};
[[nodiscard]] constexpr FramePlace place_frame(std::uint64_t sp, std::uint64_t alternate_start,
                                               std::uint64_t alternate_bytes, bool is_on_alternate,
                                               bool wants_alternate) {
    const bool switches = wants_alternate && !is_on_alternate && alternate_bytes != 0;
    const std::uint64_t top = switches ? alternate_start + alternate_bytes : sp;
    const std::uint64_t address = (top - sizeof(SignalFrame)) & ~kStackAlignmentMask;
    const bool stays = address >= alternate_start && address < top;
    return {.address = address, .fits = (is_on_alternate || switches) ? stays : address < top};
}

}  // namespace kernel::task
