// SPDX-License-Identifier: MIT
// A directory for each CPU that may come, below /sys/devices/system/cpu.
//
// Paths here are what follows that: "cpu0", "cpu0/online", "cpu0/topology/core_id".
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "file/directory.hpp"
#include "lib/result.hpp"
#include "syscall/file_system.hpp"

namespace kernel::syscall::cpu_files {

// Errors: NoEntry.
[[nodiscard]] Result<file_system::Node> find(std::string_view path);
// What is in the directory at `path`, "" being the one all CPUs are in, from `index` (0: the beginning) on.
// Errors: NoEntry at the end.
[[nodiscard]] Result<file::DirectoryEntry> next_below(std::string_view path, std::uint64_t index,
                                                      std::span<char> room);

}  // namespace kernel::syscall::cpu_files
