// SPDX-License-Identifier: MIT
// Task ids and the tasks behind them. Ids are 1..kMaxTasks-1, handed out in rising order and reused only
// after a round, as Linux' pids, so that an id just freed does not name another task at once. Concurrency:
// guarded by a lock of rank TaskTable, taken inside each function.
#pragma once

#include <cstdint>

#include "lib/ids.hpp"
#include "lib/ref.hpp"
#include "lib/result.hpp"

namespace kernel::task {

class Task;

inline constexpr std::uint32_t kMaxTasks = 32768;

// Reserves an id. TryAgain: all are taken; NoMemory: no room for the table.
Result<TaskId> allocate_task_id();
// Lets the id find `task` from now on.
void publish_task(TaskId id, Task& task);
// Gives the id back; nothing is found under it any more.
void release_task_id(TaskId id);

// A number that no other task has or had: the id, and how often it was handed out. Pre: the id is taken.
[[nodiscard]] std::uint64_t task_serial(TaskId id);

// The task with this id, dead ones included while somebody holds them; empty when there is none.
[[nodiscard]] Ref<Task> lookup_task(TaskId id);
// The task with the smallest id above `after`; empty at the end. Looks at no more than kMaxTasks / 64 words.
[[nodiscard]] Ref<Task> lookup_next_task(TaskId after);

}  // namespace kernel::task
