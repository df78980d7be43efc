// SPDX-License-Identifier: MIT
// Robust futexes (Linux: Documentation/locking/robust-futex-ABI.rst): a program keeps a list of the locks
// each of its threads holds, in its own memory, and the kernel marks those a thread still held when it ended:
// bit 30 set, the owner's id gone, one waiter awake. The list is the program's word for it; nothing in it is
// trusted.
#pragma once

#include <cstdint>

#include "task/task.hpp"

namespace kernel::task {

// struct robust_list_head of include/uapi/linux/futex.h: where its list is, per thread.
inline constexpr std::uint64_t kRobustHeadBytes = 24;

// For thread exit and exec: marks what the running task's list says it holds, a bounded number at a time;
// true when all is done or the list makes no sense. The list is forgotten. Pre: its address space is still
// there.
[[nodiscard]] bool release_robust_futexes(Task& task);

}  // namespace kernel::task
