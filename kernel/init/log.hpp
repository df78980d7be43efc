// SPDX-License-Identifier: MIT
// The kernel log: where the lines of lib/log.hpp go. Each line becomes one console write, if its level is
// below loglevel, and is kept in a ring of kRingBytes either way, the oldest lines giving way to new ones.
// Concurrency: any hart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/log.hpp"

namespace kernel::drivers {
class Console;
}  // namespace kernel::drivers

namespace kernel::log {

inline constexpr std::size_t kRingBytes = 64 * 1024;
inline constexpr std::uint32_t kDefaultLogLevel = 7;
// The most one read() copies, which bounds the time the log's lock is held.
inline constexpr std::size_t kMaxReadBytes = 1024;

// Where lines are shown from now on, the report of a panic included; null: nowhere. Boot, one hart.
void set_console(drivers::Console* console);
[[nodiscard]] drivers::Console* current_console();

// Lines with a level below `level` are shown from now on; 0 shows markers only, 8 and above everything.
void set_console_level(std::uint32_t level);
[[nodiscard]] std::uint32_t console_level();

// Copies log text, whole lines with "<LEVEL>" in front (markers: <5>) and their newlines, as much as fits in
// `out`, starting at byte `position` of all that was ever logged; a position no longer kept moves on to the
// oldest line kept. Returns the bytes copied and sets `position` after them. 0: nothing newer, or `out` is
// shorter than the next line.
[[nodiscard]] std::size_t read(std::uint64_t& position, std::span<char> out);

}  // namespace kernel::log
