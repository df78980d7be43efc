// SPDX-License-Identifier: MIT
// The machine under the whole kernel: harts, RAM, a clock and a terminal. One hart, or the test itself, runs
// at a time, each until it has nothing more to do: an execution is the same in every run. The clock moves by
// a little whenever it is read, and else by the test's order.
//
// A hart that is in user mode does not execute a program's instructions: it takes an interrupt that is
// pending, makes the system call its task stands at (kCallPc), or stays where it is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "arch/riscv64/trap_frame.hpp"
#include "lib/ids.hpp"
#include "lib/units.hpp"
#include "task/task.hpp"

namespace kernel::whole {

inline constexpr std::uint32_t kHarts = 2;
// Where the only ecall of every program is.
inline constexpr std::uint64_t kCallPc = 0x1'0800;

// Starts the harts, `boot` on the first of them before it leaves the kernel for the first time. Once.
void power_on(void (*boot)());

// Lets the harts go on until each is idle or in user mode with nothing to do.
void run_harts();
// The same until `time` has passed, with every timer that is set to fire in between.
void pass(Duration time);
// To the next timer, if one is set; false when none is.
bool pass_to_next_timer();
[[nodiscard]] Instant now();

// The hart that is in user mode with this task; kHarts: none is.
[[nodiscard]] std::uint32_t hart_of(const task::Task& task);
// A floating point register of a hart, which its program has written, and its value now.
void write_fp(std::uint32_t hart, std::uint32_t reg, std::uint64_t value);
[[nodiscard]] std::uint64_t read_fp(std::uint32_t hart, std::uint32_t reg);

// What the kernel did to the world outside.
struct Outside {
    std::string console;                // what was written to the terminal
    std::string input;                  // what can be read from it
    std::size_t console_room{1 << 20};  // bytes it takes before it says TryAgain
    std::vector<std::string> log;       // lines of the kernel's log
};
[[nodiscard]] Outside& outside();

}  // namespace kernel::whole
