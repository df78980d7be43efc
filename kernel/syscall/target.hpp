// SPDX-License-Identifier: MIT
// Whom a call acts on, and whether its caller may.
#pragma once

#include <cstdint>

#include "lib/ids.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"
#include "syscall/caller.hpp"
#include "task/process.hpp"
#include "task/task.hpp"

namespace kernel::syscall {

// The task `id` names, 0 meaning the caller. Tasks of the caller's own process and of its children are its to
// act on; for others it needs `right`, and without it the answer does not tell whether they exist. Errors, in
// this order: InvalidArgument (negative), NotPermitted, NoProcess (none, or it has ended).
[[nodiscard]] Result<Ref<task::Task>> find_target(Caller& caller, std::int32_t id, std::uint64_t right);

// The same for a process, one that ended and was not yet waited for included. Errors as above.
[[nodiscard]] Result<Ref<task::Process>> find_target_process(Caller& caller, std::int32_t pid,
                                                             std::uint64_t right);
// Whether the caller may do so to this process: its own, a child, or with the right.
[[nodiscard]] bool may_reach(Caller& caller, const task::Process& process, std::uint64_t right);

}  // namespace kernel::syscall
