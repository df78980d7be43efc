// SPDX-License-Identifier: MIT
// What the scheduler's calls of both blocks, spawn and the information files share.
#pragma once

#include <cstdint>

#include "nexus_abi/sched.hpp"
#include "sched/params.hpp"
#include "syscall/caller.hpp"
#include "task/sys_result.hpp"

namespace kernel::syscall {

// Applies a checked change to the task `pid` names. `result` is what the call returns; it may come only after
// the task has left a CPU it may no longer use. Errors: those of find_target() with SCHED_ADMIN, then those
// of sched::apply(). A change of the budget gives back what was booked for it; with `booking` it
// books anew. Busy: there is no room, booking->missing is not 0.
struct Booking {
    std::uint32_t ppm{0};      // of a CPU
    std::uint32_t missing{0};  // likewise
};
task::SysResult change_attributes(Caller& caller, std::int32_t pid, const sched::Change& change,
                                  std::uint64_t result, Booking* booking = nullptr);
// nexus_abi::kLock* of nexus_sched_lock.
[[nodiscard]] std::uint64_t locks_in_force();

// Whose limits bind the caller when it changes `task`.
[[nodiscard]] sched::Authority authority_over(Caller& caller, task::Task& task);

// One line of sched_snapshot.
[[nodiscard]] nexus_abi::sched_snapshot_entry snapshot_of(task::Task& task);
// 0 for a process without a parent.
[[nodiscard]] TaskId parent_pid(task::Process& process);

}  // namespace kernel::syscall
