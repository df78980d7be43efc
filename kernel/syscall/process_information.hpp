// SPDX-License-Identifier: MIT
// The texts below /proc/<pid>. Internal to information.cpp.
#pragma once

#include "lib/format.hpp"
#include "lib/result.hpp"
#include "syscall/information.hpp"

namespace kernel::syscall {

// As describe(). Errors: NoEntry when it is gone.
[[nodiscard]] Result<void> describe_process(Information information, Subject subject, LineWriter& out);

// Time in Linux' USER_HZ, the unit of /proc.
inline constexpr std::int64_t kNsPerTick = 10'000'000;
// A CPU list as Linux writes it: "0-2,5", without line end.
void describe_cpu_list(CpuMask cpus, LineWriter& out);

}  // namespace kernel::syscall
