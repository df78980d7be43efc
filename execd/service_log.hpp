// SPDX-License-Identifier: MIT
// What `svc logs` shows: what happened to a service, and what it wrote. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "restart.hpp"

namespace execd {

// How bad it is, as the kernel's log names it.
enum class Level : std::uint8_t { Err, Warn, Notice, Info };

struct LogLine {
    Instant at;
    Level level{Level::Info};
    std::string text{};
};

// What a service wrote at once; a part of a line, or several.
struct OutputPart {
    Instant at;
    bool is_error{false};  // on descriptor 2
    bool has_gap{false};   // what it wrote right before is not kept any more
    std::string text{};
};

// Whole lines, each behind "> ", with the time of their beginnings. Bytes that are not printable ASCII or of
// UTF-8 are shown as '?'.
[[nodiscard]] std::vector<LogLine> lines_of(std::span<const OutputPart> parts);

// "[TIME] LEVEL: TEXT" of all of them by time, the newest that fit into max_bytes.
[[nodiscard]] std::string to_text(std::span<const LogLine> lines, std::size_t max_bytes);

}  // namespace execd
