// SPDX-License-Identifier: MIT
// How a worker process tells its figures: in its task name. Processes share no memory and there are no pipes
// yet, but prctl(PR_SET_NAME) sets 15 characters that sched_snapshot shows to whoever holds
// kRightSchedInspect. One state character and two numbers of seven hex digits just fit. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace selftest {

enum class WorkerState : char {
    Ready = '=',    // started, waits for its first instant
    Partial = '+',  // `first` is final
    Done = '!',     // both are final
    Late = '~',     // started after its first instant: no figures; `first` = by how many microseconds
};

struct Report {
    WorkerState state{WorkerState::Ready};
    std::uint64_t first{0};
    std::uint64_t second{0};
};

inline constexpr std::uint64_t kReportMax = 0xfff'ffff;  // larger figures are reported as this

// Always 15 characters.
[[nodiscard]] std::string encode_report(const Report& report);
// Nothing if the name is not a report (the worker has not begun).
[[nodiscard]] std::optional<Report> decode_report(std::string_view name);

}  // namespace selftest
