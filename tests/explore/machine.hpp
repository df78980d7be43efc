// SPDX-License-Identifier: MIT
// The machine under the explorer: timers, inter-processor interrupts and RAM for arch/contract.hpp, without
// time of its own. An interrupt that was sent is pending at once; that it may come late is a choice of the
// schedule, because its hart may be chosen late.
#pragma once

#include <cstdint>

#include "lib/units.hpp"
#include "task/process.hpp"

namespace explore::machine {

// Time zero, no interrupts, `harts` harts.
void reset(std::uint32_t harts);
// Has the explorer look for data races in everything that was allocated.
void track_memory();
// The process all tasks belong to; its memory is empty.
[[nodiscard]] kernel::task::Process& process();

[[nodiscard]] bool is_interrupted(std::uint32_t hart);
// What the trap handler of the running hart does with what is pending.
void take_interrupts();

// ---- What a hart sees of an address space: the root it runs on, and one translation that it remembers ----

// The page that the running hart reads at this user address, as the program would: by what it remembers, else
// by walking the tables from its root, and it remembers what it found. Zero: a fault.
[[nodiscard]] kernel::PhysAddr translate(kernel::VirtAddr page);
// The hart's root; zero before it ever had one.
[[nodiscard]] kernel::PhysAddr root_of(std::uint32_t hart);
// Where the entry for a page lies, for watch(). Pre: its tables are there.
[[nodiscard]] std::uint64_t* entry_of(kernel::PhysAddr root, kernel::VirtAddr page);
// What the page holds.
[[nodiscard]] std::byte* bytes_of(kernel::PhysAddr page);

// The earliest timer any hart has set and that is not due yet; never() when there is none.
[[nodiscard]] kernel::Instant next_timer();
void advance_to_next_timer();

}  // namespace explore::machine
