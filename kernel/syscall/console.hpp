// SPDX-License-Identifier: MIT
// Reading, writing and controlling the terminal from a system call.
#pragma once

#include <cstdint>

#include "nexus_abi/user_ptr.hpp"
#include "syscall/caller.hpp"
#include "syscall/user_buffers.hpp"
#include "task/sys_result.hpp"

namespace kernel::syscall::console {

// Reads what is there, at most kChunkBytes; waits for input, or answers TryAgain when `is_nonblocking`.
[[nodiscard]] task::SysResult read(Caller& caller, UserBuffers buffers, bool is_nonblocking);
// Writes everything, in chunks that each appear in one piece; waits while there is no room, or returns what
// was written so far (TryAgain for nothing) when `is_nonblocking`.
[[nodiscard]] task::SysResult write(Caller& caller, UserBuffers buffers, bool is_nonblocking);
[[nodiscard]] task::SysResult control(Caller& caller, std::uint32_t request, std::uint64_t argument);

// What the driver takes at once: the longest line that is never torn. Also st_blksize, so that C libraries
// buffer that much.
inline constexpr std::size_t kChunkBytes = 1024;

}  // namespace kernel::syscall::console
