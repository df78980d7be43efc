// SPDX-License-Identifier: MIT
// panic(): the end of a kernel that found a bug in itself. One report, between the lines `KERNEL PANIC begin`
// and `KERNEL PANIC end`, on the console by polling and without waiting for any lock; then the machine is
// powered off with the reason "system failure", or the hart is parked. The first hart to panic reports; later
// ones park silently. A panic inside the report adds one line, closes the report and goes straight to
// power-off. Concurrency: any hart, any locks held, any depth of trouble.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/check.hpp"
#include "lib/format.hpp"
#include "lib/ids.hpp"

namespace kernel {

struct NamedRegister {
    std::string_view name;
    std::uint64_t value{0};
};

// [low, high) of a kernel stack. low == high: unknown, no backtrace.
struct StackBounds {
    VirtAddr low;
    VirtAddr high;
};

using PrintLine = void (*)(std::string_view line);

// What panic needs of the rest of the kernel. Every hook is bounded in time, takes no locks, and may be null.
struct PanicHooks {
    // The firmware's name of the hart that is `cpu`.
    HartId (*hart_of)(CpuId cpu){nullptr};
    StackBounds (*stack_of)(CpuId cpu){nullptr};
    // What the other harts were at, line by line, for the end of the report.
    void (*describe_harts)(PrintLine print_line){nullptr};
    // Asks the others to stop, and waits a bounded time for them.
    void (*stop_other_harts)(){nullptr};
    // Powers the machine off with a failure; returns where that cannot be done.
    void (*power_off)(){nullptr};
    // Waits for ever, at low power.
    void (*park)(){nullptr};
};

// Boot, one hart.
void set_panic_hooks(const PanicHooks& hooks);

// Where a backtrace starts: the frame pointer (s0) and the pc of the code that is to blame.
struct BacktraceStart {
    std::uint64_t frame_pointer{0};
    std::uint64_t pc{0};
};

// The report. `registers` may be empty; without `start` the backtrace begins at the caller.
[[noreturn]] void panic_with_text(std::string_view text, std::span<const NamedRegister> registers = {},
                                  const BacktraceStart* start = nullptr);

template <class... Parts>
[[noreturn]] void panic(const Parts&... parts) {
    Line<240> line;
    (line << ... << parts);
    panic_with_text(line.text());
}

// For a trap from kernel mode: the registers at the trap are shown and the backtrace starts there.
template <class... Parts>
[[noreturn]] void panic_at(const BacktraceStart& start, std::span<const NamedRegister> registers,
                           const Parts&... parts) {
    Line<240> line;
    (line << ... << parts);
    panic_with_text(line.text(), registers, &start);
}

// True from the moment a hart began to panic.
[[nodiscard]] bool is_panicking();

// Return addresses found by walking frame pointers from `frame_pointer`, innermost first; stops at the first
// frame outside `stack`, misaligned, or not further up than the one before. RISC-V psABI: the return address
// is at fp - 8, the caller's frame pointer at fp - 16. Reads only inside `stack`.
[[nodiscard]] std::size_t walk_frames(std::uint64_t frame_pointer, StackBounds stack,
                                      std::span<std::uint64_t> return_addresses);

}  // namespace kernel
