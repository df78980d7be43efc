// SPDX-License-Identifier: MIT
// Log lines from any layer. A line is written to the console in one piece and kept in the log ring.
//
//     log::info("memory: ", ByteCount{bytes}, " free");     [    0.001234] memory: 128MiB free
//     log::warn("hart ", hart, " did not come");            [    0.001301] warning: hart 3 did not come
//     log::marker("KINIT: cpu", cpu, " online");            KINIT: cpu0 online          (column 0, never
//     filtered)
//
// The time stamp is the time since boot in seconds; under icount it is the same in every run. Text beyond
// kMaxLineBytes is cut and ends in "...". Concurrency: any hart, any lock held of a rank below LockRank::Log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/format.hpp"

namespace kernel::log {

inline constexpr std::size_t kMaxLineBytes = 240;

// Linux' numbers (include/linux/kern_levels.h), so that loglevel= means what its users know: a line is shown
// when its level is below loglevel.
enum class Level : std::uint8_t { Error = 3, Warning = 4, Info = 6, Debug = 7 };

// Provided by the kernel (init/log.cpp); tests provide their own. `text` has no newline.
void emit(Level level, std::string_view text);
void emit_marker(std::string_view text);

template <class... Parts>
void write(Level level, const Parts&... parts) {
    Line<kMaxLineBytes> line;
    (line << ... << parts);
    emit(level, line.text());
}

template <class... Parts>
void error(const Parts&... parts) {
    write(Level::Error, parts...);
}
template <class... Parts>
void warn(const Parts&... parts) {
    write(Level::Warning, parts...);
}
template <class... Parts>
void info(const Parts&... parts) {
    write(Level::Info, parts...);
}
template <class... Parts>
void debug(const Parts&... parts) {
    write(Level::Debug, parts...);
}

// A line that scripts look for: it starts at column 0 and no log level hides it.
template <class... Parts>
void marker(const Parts&... parts) {
    Line<kMaxLineBytes> line;
    (line << ... << parts);
    emit_marker(line.text());
}

}  // namespace kernel::log
