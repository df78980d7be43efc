// SPDX-License-Identifier: MIT
// The terminal as an open file.
#pragma once

#include <cstdint>

#include "syscall/output_log.hpp"
#include "task/file_table.hpp"
#include "task/open_file.hpp"

namespace kernel::syscall::console {

// Errors: NoMemory.
[[nodiscard]] Result<Ref<task::OpenFile>> open(std::uint32_t flags);
// One whose output `log` keeps as well. Errors: NoMemory.
[[nodiscard]] Result<Ref<task::OpenFile>> open_logged(Ref<OutputLog> log, nexus_abi::OutputStream stream);
[[nodiscard]] task::FileStatus status();
// Gives a new process descriptors 0, 1 and 2. Pre: `table` is empty. Errors: NoMemory.
Result<void> open_standard_files(task::FileTable& table);

// What the driver takes at once: the longest line that is never torn. Also st_blksize, so that C libraries
// buffer that much.
inline constexpr std::size_t kChunkBytes = 1024;
static_assert(kChunkBytes <= nexus_abi::kOutputRecordMaxBytes);

}  // namespace kernel::syscall::console
