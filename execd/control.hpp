// SPDX-License-Identifier: MIT
// The control channel's messages. A request is a line "ID VERB [SERVICE]\n" of at most kMaxRequestBytes
// printable characters; the answer "ID STATUS BYTES\n" and that many bytes of text. Verbs: status [SERVICE],
// start, stop, restart, logs, explain SERVICE, reload. The ID is the asker's, up to ten digits.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace execd {

// Statuses as init scripts have them (LSB 5, 22.2 and its status codes).
inline constexpr int kControlDone = 0;
inline constexpr int kControlRefused = 1;
inline constexpr int kControlMisused = 2;
inline constexpr int kControlNotRunning = 3;
inline constexpr int kControlUnknown = 4;

// Half of what a socket buffers, so that an answer never waits for its reader.
inline constexpr std::size_t kMaxAnswerBytes = std::size_t{32} << 10;
// Of each service's events; a crash is some twenty.
inline constexpr std::size_t kMaxKeptLines = 100;
// From SIGTERM to SIGKILL.
inline constexpr std::chrono::seconds kStopPatience{5};

struct ControlAnswer {
    int status{kControlDone};
    std::string text{};  // whole lines
};

[[nodiscard]] std::string to_message(std::string_view id, const ControlAnswer& answer);

}  // namespace execd
