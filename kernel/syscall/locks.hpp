// SPDX-License-Identifier: MIT
// The part of fcntl that is about locks.
#pragma once

#include <cstdint>

#include "lib/ref.hpp"
#include "syscall/caller.hpp"
#include "task/open_file.hpp"
#include "task/sys_result.hpp"

namespace kernel::syscall {

// F_GETLK, F_SETLK, F_SETLKW and their F_OFD_ twins.
[[nodiscard]] bool is_lock_command(std::uint32_t command);
// Pre: is_lock_command(); `file` is what `fd` stands for.
[[nodiscard]] task::SysResult control_locks(Caller& caller, std::int32_t fd, const Ref<task::OpenFile>& file,
                                            std::uint32_t command, std::uint64_t argument);

}  // namespace kernel::syscall
