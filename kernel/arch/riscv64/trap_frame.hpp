// SPDX-License-Identifier: MIT
// The saved user registers of a task: TrapFrame (every entry) and FpState (saved only when dirty and another
// task runs). Layout is shared with trap.S through asm_offsets.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/riscv64/asm_offsets.hpp"

namespace kernel::arch {

struct TrapFrame {
    std::uint64_t pc;                 // takes the place of x0
    std::array<std::uint64_t, 31> x;  // x[n - 1] is register xn

    [[nodiscard]] std::uint64_t reg(std::uint32_t n) const { return x[n - 1]; }
    void set_reg(std::uint32_t n, std::uint64_t value) { x[n - 1] = value; }

    // The Linux riscv64 system call convention: number in a7, arguments in a0..a5, result in a0.
    [[nodiscard]] std::uint64_t syscall_number() const { return reg(17); }
    [[nodiscard]] std::uint64_t argument(std::uint32_t i) const { return reg(10 + i); }
    void set_result(std::int64_t value) { set_reg(10, static_cast<std::uint64_t>(value)); }
    [[nodiscard]] std::uint64_t stack_pointer() const { return reg(2); }
    void set_stack_pointer(std::uint64_t value) { set_reg(2, value); }
    void set_thread_pointer(std::uint64_t value) { set_reg(4, value); }
    [[nodiscard]] std::uint64_t return_address() const { return reg(1); }
};
static_assert(offsetof(TrapFrame, pc) == FRAME_PC);
static_assert(offsetof(TrapFrame, x) == FRAME_REG(1));
static_assert(sizeof(TrapFrame) == FRAME_SIZE);

struct FpState {
    std::array<std::uint64_t, 32> f;
    std::uint64_t fcsr;
};
static_assert(offsetof(FpState, fcsr) == FP_FCSR);

extern "C" void arch_save_fp(FpState* state);
extern "C" void arch_restore_fp(const FpState* state);

}  // namespace kernel::arch
