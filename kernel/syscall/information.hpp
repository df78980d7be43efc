// SPDX-License-Identifier: MIT
// The text of the files under /proc and /sys, in Linux' formats as far as programs read them.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/format.hpp"
#include "lib/ids.hpp"
#include "lib/result.hpp"
#include "task/task.hpp"

namespace kernel::syscall {

enum class Information : std::uint8_t {
    CpusOnline,
    CpusPossible,
    MemoryInfo,
    CpuInfo,
    Uptime,
    Statistics,
    LoadAverage,
    Interrupts,
    MapAudit,  // debug builds
    // About one CPU.
    CpuIsOnline,
    CpuNumber,
    CpuPackage,
    BoardCompatible,
    BoardModel,
    // About one process or thread.
    ProcessArguments,
    ProcessComm,
    ProcessLimits,
    ProcessMaps,
    ProcessMemory,
    ProcessSchedule,
    ProcessStat,
    ProcessStatus,
    Mounts,
    // The same always: the text is the name's.
    Constant,
};

// Whom a text is about.
struct Subject {
    TaskId tid{};
    bool is_thread{false};  // the thread alone, else its process
    CpuId cpu{};
};

// The longest text: the mappings of a process beyond it are left out, as is anything else.
[[nodiscard]] constexpr std::uint32_t frames_order_of(Information information) {
    return information == Information::ProcessMaps ? 2 : 0;
}

// What the device tree's root says of the board, for the files of the same names: `compatible` NUL-separated,
// `model` with or without its NUL; both live as long as the kernel. Boot, one hart.
void set_board(std::string_view compatible, std::string_view model);

// Writes the text. `subject`: for files about one. Errors: NoEntry when it is gone.
[[nodiscard]] Result<void> describe(Information information, Subject subject, LineWriter& out);

}  // namespace kernel::syscall
